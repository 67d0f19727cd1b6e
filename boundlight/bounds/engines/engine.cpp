#include "boundlight/bounds/engines/engine.hpp"

namespace boundlight {

namespace cpu {
std::unique_ptr<Engine> make_engine_here(std::shared_ptr<const Network> network);
}

Result<std::unique_ptr<Engine>> make_engine(std::shared_ptr<const Network> network, const std::string& device) {
  if (device == "cpu") return cpu::make_engine_here(std::move(network));
  return Error{ErrorKind::unsupported, "device " + device, "this build has no such back end; use --device cpu"};
}

}  // namespace boundlight
