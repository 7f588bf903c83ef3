// An array of the host that ends where a page begins that nobody may touch: an access beyond it is
// a crash in every build, and what is written beside it is seen by intact(). NaN at first. What
// kernels get in place of device memory.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace cusim {

inline std::atomic<unsigned> guarded_arrays = 0;  // so far

template <class T>
class Guarded {
 public:
  // `offset` elements more in front than asked for, to make the array misaligned.
  explicit Guarded(size_t size, size_t offset = 0)
      : size_(size), page_(size_t(sysconf(_SC_PAGESIZE))) {
    const size_t bytes = (size + offset) * sizeof(T), rounded = (bytes + 15) / 16 * 16;
    inside_ = (rounded + page_ - 1) / page_ * page_;
    mapping_ = static_cast<char*>(mmap(nullptr, inside_ + 2 * page_, PROT_NONE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (mapping_ == MAP_FAILED) throw std::bad_alloc();
    mprotect(mapping_ + page_, inside_, PROT_READ | PROT_WRITE);
    // The end of the array is less than 16 bytes before the guard: pointers that a kernel may copy
    // 16 bytes from must be multiples of 16. What lies between is looked at by intact().
    data_ = reinterpret_cast<T*>(mapping_ + page_ + inside_ - rounded) + offset;
    std::memset(static_cast<void*>(data_), 0xff, size * sizeof(T));
    each_beside([&](char& byte) { byte = beside(&byte); });
  }
  ~Guarded() { munmap(mapping_, inside_ + 2 * page_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }

  bool intact() const {  // nothing was written beside the array
    bool same = true;
    each_beside([&](const char& byte) { same = same && byte == beside(&byte); });
    return same;
  }

 private:
  template <class Body>
  void each_beside(const Body& body) const {
    char* const data = reinterpret_cast<char*>(data_);
    for (char* p = mapping_ + page_; p < data; ++p) body(*p);
    for (char* p = data + size_ * sizeof(T); p < mapping_ + page_ + inside_; ++p) body(*p);
  }

  // NaN, too, of f32, bf16 and f16, but a signalling one, which arithmetic changes, and another for
  // each array: a kernel that reads beside one and writes beside another changes what is there.
  char beside(const char* p) const {
    return char(reinterpret_cast<uintptr_t>(p) % 2 ? 0x7f : 0x81 + number_ % 63);
  }

  unsigned number_ = guarded_arrays++;
  size_t size_, page_, inside_;
  char* mapping_;
  T* data_;
};

}  // namespace cusim
