# Every library graft links, found the same way by its build and by find_package(graft).
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(JPEG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(CURL REQUIRED)
find_package(Protobuf REQUIRED)

# libzip's own package file, as Debian has it, wants programs of another package.
find_path(ZIP_INCLUDE_DIR zip.h REQUIRED)
find_library(ZIP_LIBRARY zip REQUIRED)
if(NOT TARGET graft::zip)
  add_library(graft::zip UNKNOWN IMPORTED)
  set_target_properties(graft::zip PROPERTIES IMPORTED_LOCATION ${ZIP_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${ZIP_INCLUDE_DIR})
endif()

# The messages of ONNX, without its operators and checker.
find_path(ONNX_INCLUDE_DIR onnx/onnx_pb.h REQUIRED)
find_library(ONNX_PROTO_LIBRARY onnx_proto REQUIRED)
if(NOT TARGET graft::onnx)
  add_library(graft::onnx UNKNOWN IMPORTED)
  set_target_properties(graft::onnx PROPERTIES IMPORTED_LOCATION ${ONNX_PROTO_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${ONNX_INCLUDE_DIR} INTERFACE_COMPILE_DEFINITIONS ONNX_ML=1
    INTERFACE_LINK_LIBRARIES protobuf::libprotobuf)
endif()

# oneDNN's own package file wants OpenCL's headers, which a CPU build has no use for.
find_path(DNNL_INCLUDE_DIR dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
file(STRINGS ${DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h dnnl_version REGEX "VERSION_MAJOR +[0-9]+")
if(NOT dnnl_version MATCHES "VERSION_MAJOR +2")
  message(FATAL_ERROR "graft needs oneDNN 2 (Debian 12's libdnnl-dev); found: ${dnnl_version}")
endif()
if(NOT TARGET graft::dnnl)
  add_library(graft::dnnl UNKNOWN IMPORTED)
  set_target_properties(graft::dnnl PROPERTIES IMPORTED_LOCATION ${DNNL_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})
endif()
