// Backend: how engine.cpp reaches an engine compiled for one back end, in libboundlight or in a module.
#pragma once

#include <memory>

#include "boundlight/bounds/engines/engine.hpp"

namespace boundlight {

struct Backend {
  const char* version;         // of boundlight: a module of another version has other classes
  Result<void> (*available)();  // why it cannot work on this machine
  Result<std::unique_ptr<Engine>> (*make)(std::shared_ptr<const Network> network);
};

}  // namespace boundlight

// Defined once per back end as boundlight_backend_<namespace>.
#define BL_BACKEND_SYMBOL_(ns) boundlight_backend_##ns
#define BL_BACKEND_SYMBOL(ns) BL_BACKEND_SYMBOL_(ns)
