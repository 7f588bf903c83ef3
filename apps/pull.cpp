// graft pull: published weights from the network, checked, as a model file of ours.
#include <nlohmann/json.hpp>

#include "apps/cache_folder.h"
#include "apps/command.h"
#include "io/download.h"
#include "io/file.h"
#include "io/sha256.h"
#include "models/catalogue.h"
#include "models/saved.h"
#include "models/zoo.h"

namespace graft::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPullFooter = R"(The file that was published is kept, by its hash, in --cache: $GRAFT_CACHE, else
$XDG_CACHE_HOME/graft, else ~/.cache/graft. A broken download goes on where it stopped.
Examples:
  graft models --pretrained
  graft pull resnet50
  graft pull resnet50.imagenet1k_v1 --out resnet50_v1.h5)";

struct PullOptions {
  Common common;
  std::string name, out, cache, catalogue;
  int stall = 30;
};

// One line on a terminal, rewritten at most ten times a second.
std::function<void(int64_t, int64_t)> progress_line(const std::string& name) {
  return [name, last = 0.0](int64_t done, int64_t total) mutable {
    if (!isatty(STDERR_FILENO) || now() - last < 0.1) return;
    last = now();
    std::string of = total ? fmt::format(" of {:.1f}", double(total) / 1e6) : "";
    std::string line = fmt::format("\r{}: {:.1f}{} MB \x1b[K", name, double(done) / 1e6, of);
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  };
}

fs::path fetch(const PublishedWeights& w, const PullOptions& o) {
  fs::path folder = cache_folder(o.cache);
  if (folder.empty())
    fail(Fault::usage, "pull: there is no home folder to keep downloads in; name one with --cache");
  make_writable_folder(folder);
  fs::path file = folder / (w.sha256 + ".pth");
  DownloadOptions options{.stall_seconds = o.stall, .progress = progress_line(w.name)};
  download(w.url, w.sha256, file, options);
  if (isatty(STDERR_FILENO)) say("");
  return file;
}

void write_model(const PublishedWeights& w, const fs::path& source, const std::string& out) {
  Adopted adopted = adopt(source, w.architecture);
  adopted.model->preprocess = w.preprocess;
  ModelFile file = to_file(*adopted.model);
  file.origin = {{"source", w.url}, {"sha256", sha256_of_file(source)}, {"licence", w.licence},
                 {"weights", w.name}, {"tool", std::string("graft ") + GRAFT_VERSION}};
  tell_sources(adopted, file);
  file.golden = make_golden(*adopted.model);
  write_model_file(out, file);
}

int run_pull(const PullOptions& o) {
  apply(o.common);
  const std::vector<PublishedWeights> catalogue = read_catalogue(o.catalogue);
  const PublishedWeights& w = find_weights(catalogue, o.name);
  zoo_row(w.architecture);  // refuses what cannot be built before anything is downloaded
  std::string out = o.out.empty() ? w.architecture + ".h5" : o.out;
  if (!out.ends_with(".h5") && !out.ends_with(".hdf5"))
    fail(Fault::usage, "pull: {} must end in .h5", printable(out));
  write_model(w, fetch(w, o), out);
  if (o.common.json)
    print(Json{{"name", w.name}, {"architecture", w.architecture}, {"out", out}, {"url", w.url},
               {"sha256", w.sha256}, {"top1", w.top1}, {"licence", w.licence}});
  else
    print(fmt::format("{}: {}, {:.1f} % on ImageNet, licence {}\nnext: graft train --weights {} "
                      "--data FOLDER --freeze trunk", printable(out), w.name, w.top1, w.licence,
                      printable(out)));
  return 0;
}

}  // namespace

Run add_pull(CLI::App& program) {
  Command c(program, "pull", "Download published weights as a model file");
  auto o = std::make_shared<PullOptions>();
  c.required("name", o->name, "Weights, or an architecture for its best ones");
  c.text("--out", o->out, "Model file to write [ARCHITECTURE.h5]");
  c.text("--cache", o->cache, "Folder that keeps downloads");
  c.text("--catalogue", o->catalogue, "Catalogue of your own, in JSON");
  c.integer("--stall", o->stall, 1, 3600, "Seconds without a byte that end an attempt");
  add_common(c, o->common);
  c.footer(kPullFooter);
  return [o] { return run_pull(*o); };
}

}  // namespace graft::app
