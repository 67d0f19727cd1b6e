#include "boundlight/bounds/engines/backend.hpp"

#include <exception>

#include "boundlight/bounds/engines/engine_impl.hpp"

namespace boundlight::BL_NS {
namespace {

Result<std::unique_ptr<Engine>> make(std::shared_ptr<const Network> network) {
  BL_CHECK(Device::available());
  try {
    return std::unique_ptr<Engine>(std::make_unique<EngineImpl>(std::move(network)));
  } catch (const std::exception& e) {
    return Error{ErrorKind::unsupported, std::string("device ") + Device::kName, e.what()};
  }
}

}  // namespace
}  // namespace boundlight::BL_NS

extern "C" __attribute__((visibility("default"))) const boundlight::Backend BL_BACKEND_SYMBOL(BL_NS);
const boundlight::Backend BL_BACKEND_SYMBOL(BL_NS) = {BOUNDLIGHT_VERSION, boundlight::BL_NS::Device::available, boundlight::BL_NS::make};
