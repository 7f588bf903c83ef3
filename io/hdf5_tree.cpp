#include "io/hdf5_tree.h"

#include <vector>

#include "core/check.h"
#include "io/hdf5_seal.h"
#include "io/sniff.h"
#include "io/source_file.h"

namespace graft::hdf5 {
namespace {

constexpr size_t kMaxObjects = 1'000'000;
constexpr int kMaxDepth = 32;

herr_t collect_link(hid_t, const char* name, const H5L_info_t* info, void* links) try {
  auto& list = *static_cast<std::vector<Link>*>(links);
  if (list.size() >= kMaxObjects) return -1;
  list.push_back({name, info->type, info->type == H5L_TYPE_HARD ? info->u.address : 0});
  return 0;
} catch (const std::exception&) {
  return -1;  // no exception may pass through the C library
}

}  // namespace

Tree::Tree(InputFile opened) : input(std::move(opened)) {
  Content content = sniff(input);
  if (content != Content::hdf5) refuse(content, input.name(), "an HDF5 file");
  session.input = &input;
  session.end = check_seal(input);
  sealed = session.end < input.size();
}

void Tree::open() {
  Id access = access_list(session);
  file = Id(H5Fopen("graft", H5F_ACC_RDONLY, access.get()), H5Fclose);
  if (!file.ok()) damaged("it does not open");
  H5O_info_t root;
  if (H5Oget_info(file.get(), &root) < 0) damaged("it has no root group");
  std::set<haddr_t> visited;
  walk("/", root.addr, visited, 0);
}

// An input/output error that the driver kept says more than what the library makes of it.
void Tree::damaged(const std::string& what) const {
  if (session.error) std::rethrow_exception(session.error);
  fail(Fault::data, "{}: damaged or cut HDF5 file: {}; get it again", name(), what);
}

void Tree::check(bool done, const std::string& where, const char* what) const {
  if (!done) damaged(escaped(where) + ": " + what);
}

Id Tree::object(haddr_t address, const std::string& path) const {
  Id id(H5Oopen_by_addr(file.get(), address), H5Oclose);
  check(id.ok(), path, "does not open");
  return id;
}

Id Tree::object(const std::string& path) const {
  for (const auto* table : {&sets, &groups})
    if (auto found = table->find(path); found != table->end()) return object(found->second, path);
  fail(Fault::data, "{}: has no {}", name(), escaped(path));
}

// Every object is opened once, by its address: no path is ever followed by the library.
void Tree::walk(const std::string& path, haddr_t address, std::set<haddr_t>& visited, int depth) {
  GRAFT_CHECK(depth < kMaxDepth && visited.insert(address).second && visited.size() < kMaxObjects,
              "{}: {}: groups form a cycle or nest too deep", name(), escaped(path));
  Id group = object(address, path);
  check(H5Iget_type(group.get()) == H5I_GROUP, path, "is no group");
  groups[path] = address;
  std::vector<Link> links;
  int done = H5Literate(group.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect_link, &links);
  check(done >= 0, path, "cannot be listed");
  group.reset();
  for (const Link& link : links) follow(path, link, visited, depth);
}

void Tree::follow(const std::string& path, const Link& link, std::set<haddr_t>& visited,
                  int depth) {
  std::string full = (path == "/" ? path : path + "/") + link.name;
  bool plain = !link.name.empty() && link.name != "." && link.name.find('/') == std::string::npos;
  GRAFT_CHECK(plain, "{}: a link in {} has an illegal name", name(), escaped(path));
  GRAFT_CHECK(link.type == H5L_TYPE_HARD,
              "{}: {} is {}, which may lead anywhere; copy the file with `h5copy -f ext,soft`",
              name(), escaped(full),
              link.type == H5L_TYPE_SOFT       ? "a soft link"
              : link.type == H5L_TYPE_EXTERNAL ? "a link to another file"
                                               : "a user-defined link");
  H5I_type_t kind = H5Iget_type(object(link.address, full).get());
  check(kind != H5I_BADID, full, "is of no known kind");
  if (kind == H5I_GROUP) walk(full, link.address, visited, depth + 1);
  if (kind == H5I_DATASET) sets[full] = link.address;
  GRAFT_CHECK(sets.size() < kMaxObjects, "{}: more than {} datasets", name(), kMaxObjects);
}

}  // namespace graft::hdf5
