#include "core/moments.h"

#include "core/autograd.h"

namespace graft {

KnownMoments take_moments(const Tensor& x) {
  const KnownMoments* known = known_of<KnownMoments>(x);
  if (!known || known->of.dim(1) != x.dim(-1)) return {};
  KnownMoments taken = *known;
  x.impl()->storage->known.reset();
  return taken;
}

}  // namespace graft
