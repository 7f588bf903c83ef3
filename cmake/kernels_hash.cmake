# Writes OUT, C++ that knows a hash of the contents of SOURCES and of COMPILER, a text.
set(all "${COMPILER}")
foreach(source IN LISTS SOURCES)
  file(SHA256 ${source} hash)
  string(APPEND all " ${hash}")
endforeach()
string(SHA256 hash "${all}")
string(SUBSTRING ${hash} 0 16 hash)
file(WRITE ${OUT} "#include \"kernels/driver.h\"

const char* graft::cuda::hash_of_kernels() noexcept { return \"${hash}\"; }
")
