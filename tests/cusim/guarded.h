// An array of the host that ends where a page begins that nobody may touch: an access beyond it is a
// crash in every build, and what is written in front of it is seen by intact(). NaN at first. What
// kernels get in place of device memory.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace cusim {

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
    std::memset(mapping_ + page_, kFill, inside_);
    // The end of the array is less than 16 bytes before the guard: pointers that a kernel may copy
    // 16 bytes from must be multiples of 16. What lies between is looked at by intact().
    data_ = reinterpret_cast<T*>(mapping_ + page_ + inside_ - rounded) + offset;
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
    auto first = reinterpret_cast<const unsigned char*>(data_);
    auto last = reinterpret_cast<const unsigned char*>(data_ + size_);
    auto low = reinterpret_cast<const unsigned char*>(mapping_ + page_), high = low + inside_;
    for (auto p = low; p < high; ++p)
      if ((p < first || p >= last) && *p != kFill) return false;
    return true;
  }

 private:
  static constexpr unsigned char kFill = 0xff;
  size_t size_, page_, inside_;
  char* mapping_;
  T* data_;
};

}  // namespace cusim
