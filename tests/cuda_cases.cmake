# The tests of CUDA kernels, compiled once for the simulator and for a GPU: tests/cuda_array.h.
if(NOT TARGET cuda_cases)
  get_filename_component(cuda_cases_root ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
  file(GLOB cuda_cases CONFIGURE_DEPENDS ${cuda_cases_root}/tests/cuda_*_test.cpp)
  add_library(cuda_cases OBJECT ${cuda_cases})
  target_include_directories(cuda_cases PRIVATE ${cuda_cases_root})
  target_link_libraries(cuda_cases PRIVATE GTest::gtest)
  target_compile_options(cuda_cases PRIVATE ${sanitize_typed} $<$<CONFIG:Release>:-O1>)  # compiled a third sooner
endif()
