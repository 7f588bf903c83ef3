#include "tests/cusim/spans.h"

#include <list>

#include "tests/cusim/before.h"
#include "tests/cusim/cusim.h"

namespace cusim::spans {
namespace {

std::list<Span> copies, products;  // the latest users of each byte; addresses stay

bool overlap(const Span& a, const Span& b) { return a.begin < b.end && b.begin < a.end; }

bool known_to_be_done(const Span& s) {
  return !s.running && before::has_seen_async(warp(), s.actor, s.when);
}

// What the new span is begun over is forgotten where it lies wholly in it.
void take_over(std::list<Span>& users, const Span& mine, const char* complaint) {
  for (auto user = users.begin(); user != users.end();) {
    if (overlap(*user, mine) && !known_to_be_done(*user))
      fail("copy to %p, %s", static_cast<const void*>(mine.begin), complaint);
    const bool inside = mine.begin <= user->begin && user->end <= mine.end;
    user = inside ? users.erase(user) : std::next(user);
  }
}

}  // namespace

Span* begin_copy(const void* to, size_t bytes, unsigned actor) {
  auto at = static_cast<const char*>(to);
  const Span mine{at, at + bytes, actor};
  take_over(products, mine, "which a wgmma may still read");
  take_over(copies, mine, "to which another copy may still be on its way");
  copies.push_back(mine);
  return &copies.back();
}

Span* begin_product(const void* from, size_t bytes) {
  auto at = static_cast<const char*>(from);
  const Span mine{at, at + bytes, warp()};
  for (const Span& copy : copies)
    if (overlap(copy, mine) && !known_to_be_done(copy))
      fail("wgmma reads %p, a copy to which has not been waited for", from);
  products.push_back(mine);
  return &products.back();
}

void finish(Span* span) {
  span->running = false;
  span->when = before::now(span->actor);
}

void begin_cluster() {
  copies.clear();
  products.clear();
}

}  // namespace cusim::spans
