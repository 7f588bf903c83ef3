# cusim_library(name options kernel_options): the simulator, cusim_<name>, and all kernels compiled for
# it, cusim_kernels_<name>, with options for both and others for the kernels alone.
get_filename_component(cusim_folder ${CMAKE_CURRENT_LIST_DIR} ABSOLUTE)
get_filename_component(cusim_root ${cusim_folder}/../.. ABSOLUTE)
find_path(CUDA_HEADERS cuda_bf16.h HINTS ENV CUDA_PATH ENV CUDA_HOME PATHS /usr/local/cuda
  PATH_SUFFIXES include)

function(cusim_library name options kernel_options)
  file(GLOB simulator CONFIGURE_DEPENDS ${cusim_folder}/*.cpp)
  list(FILTER simulator EXCLUDE REGEX "_test\\.cpp$|/(race|tsan_hooks|on_device|seeded.*)\\.cpp$")
  file(GLOB kernels CONFIGURE_DEPENDS ${cusim_root}/kernels/cuda/*.cu ${cusim_root}/kernels/cuda/*.cpp)
  list(FILTER kernels EXCLUDE REGEX "/(runtime|graph|wgmma_works)\\.cpp$")  # those of the simulator stand for them
  set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX)
  set(with_tensor_maps ${kernels})
  list(FILTER with_tensor_maps INCLUDE REGEX "/(gemm|conv2d)_wgmma_")  # parameters of 128-byte alignment
  set_source_files_properties(${with_tensor_maps} PROPERTIES COMPILE_OPTIONS -Wno-psabi)

  add_library(cusim_${name} OBJECT ${simulator})
  # shadow/ first: its launch.cuh and ptx.cuh stand before those of kernels/cuda
  target_include_directories(cusim_${name} PUBLIC ${cusim_folder}/shadow ${cusim_root})
  target_include_directories(cusim_${name} SYSTEM PUBLIC ${CUDA_HEADERS})
  target_compile_definitions(cusim_${name} PUBLIC GRAFT_CUSIM)
  target_compile_options(cusim_${name} PUBLIC -fno-strict-aliasing -Wall -Wextra
    -Wno-unknown-pragmas -Wno-pass-failed -Wno-missing-field-initializers ${options})
  target_link_options(cusim_${name} PUBLIC ${options})
  add_library(cusim_kernels_${name} STATIC ${kernels})
  target_compile_options(cusim_kernels_${name} PRIVATE -x c++ ${kernel_options})
  target_link_libraries(cusim_kernels_${name} PUBLIC cusim_${name})
endfunction()
