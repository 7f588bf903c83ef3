#include "core/cast.h"

#include "core/autograd.h"
#include "core/captured_work.h"

namespace graft {

// What was made while work is captured ends with it. What is only kept, not written along with w,
// is nothing for work that is captured once and goes on to change w.
Tensor cast(const Tensor& w, DType dtype) {
  if (w.dtype() == dtype) return w.detach();
  Cast& kept = w.impl()->cast;
  const bool learns = recording({&w});
  if (has_cast(w, kept.values) && kept.values.dtype() == dtype && (kept.follows || !learns))
    return kept.values;
  Tensor converted = w.to(dtype);
  if (!capturing()) kept = learns ? Cast{} : Cast{converted, w.version()};
  return converted;
}

void set_cast(const Tensor& w, const Tensor& copy) {
  GRAFT_CHECK(w.shape() == copy.shape() && w.device() == copy.device(),
              "cast: a copy {} on {} of a tensor {} on {}", copy.shape(), name_of(copy.device()),
              w.shape(), name_of(w.device()));
  w.impl()->cast = {copy, w.version(), true};
}

bool has_cast(const Tensor& w, const Tensor& copy) {
  const Cast& kept = w.impl()->cast;
  return copy.defined() && kept.values.impl() == copy.impl() && kept.version == w.version();
}

}  // namespace graft
