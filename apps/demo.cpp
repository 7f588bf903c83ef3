#include "apps/command.h"
namespace graft::app {
Run add_demo(CLI::App& program) { program.add_subcommand("demo", "x"); return [] { return 0; }; }
}
