#include "boundlight/bounds/engines/engine.hpp"

#include <algorithm>
#include <cstring>

#include "boundlight/bounds/engines/backend.hpp"
#include "boundlight/bounds/engines/guarded_engine.hpp"
#include "boundlight/device/modules.hpp"

extern "C" const boundlight::Backend boundlight_backend_cpu;

namespace boundlight {
namespace {

constexpr const char* kDevices[] = {"cpu", "cuda", "emulated"};

Result<const Backend*> backend_of(const std::string& device) {
  if (device == "cpu") return &boundlight_backend_cpu;
  if (std::find(std::begin(kDevices), std::end(kDevices), device) == std::end(kDevices))
    return Error{ErrorKind::bad_input, "device " + device, "there is no such device; use cpu, cuda or emulated"};
  BL_TRY(symbol, device::module_symbol(device, "boundlight_backend_" + device));
  const auto* backend = static_cast<const Backend*>(symbol);
  if (std::strcmp(backend->version, boundlight_backend_cpu.version) != 0)
    return Error{ErrorKind::unsupported, "device " + device,
                 std::string("its module is of version ") + backend->version + ", this is " + boundlight_backend_cpu.version + "; reinstall both together"};
  return backend;
}

}  // namespace

Result<std::unique_ptr<Engine>> make_engine(std::shared_ptr<const Network> network, const std::string& device) {
  BL_TRY(backend, backend_of(device));
  if (device == "cpu") return backend->make(std::move(network));
  BL_TRY(engine, backend->make(std::move(network)));
  return guarded(std::move(engine));
}

std::vector<DeviceStatus> available_devices() {
  std::vector<DeviceStatus> all;
  for (const char* name : kDevices) {
    const auto backend = backend_of(name);
    const auto usable = backend.ok() ? backend.value()->available() : Result<void>(backend.error());
    all.push_back({name, usable.ok() ? "" : usable.error().text()});
  }
  return all;
}

}  // namespace boundlight
