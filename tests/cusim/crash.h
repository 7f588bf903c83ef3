// A kernel that touches a guard page dies with the names of its block and thread.
#pragma once

namespace cusim {

void name_faults();  // from now on

}  // namespace cusim
