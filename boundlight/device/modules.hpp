// Modules: back ends that live in shared objects of their own and are opened when first asked for (a CUDA runtime takes a
// second and needs a driver; the command starts without it). Looked for beside libboundlight.so and in boundlight/ there.
#pragma once

#include <string>

#include "boundlight/core/result.hpp"

namespace boundlight::device {

// The address of `symbol` in libboundlight_<name>.so, opened once per process and never closed; symbols stay local to the
// module. Errors: the module is not there, or cannot be loaded here; one sentence that says what to do.
Result<const void*> module_symbol(const std::string& name, const std::string& symbol);

}  // namespace boundlight::device
