// Back ends that are not there: a sentence, never a crash.
#include <catch2/catch.hpp>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/device/modules.hpp"
#include "support/errors.hpp"

using namespace boundlight;

TEST_CASE("a module that is not installed is refused in a sentence that names its file") {
  test::check_refused(device::module_symbol("nowhere", "anything"), "device nowhere", "no libboundlight_nowhere.so", ErrorKind::unsupported);
}

TEST_CASE("a module without the symbol belongs to another version") {
  test::check_refused(device::module_symbol("emulated", "no_such_symbol"), "device emulated", "another version", ErrorKind::unsupported);
}

TEST_CASE("an unknown device is refused and the known ones are named") {
  test::check_refused(make_engine(std::make_shared<Network>(), "tpu"), "device tpu", "use cpu, cuda or emulated");
}

TEST_CASE("every device is either usable or says why not") {
  const auto all = available_devices();
  REQUIRE(all.size() == 3);
  for (const auto& device : all) {
    const auto engine = make_engine(std::make_shared<Network>(), device.name);
    INFO(device.name << ": " << device.reason);
    CHECK(engine.ok() == device.reason.empty());
    if (device.name != "cuda") CHECK(device.reason.empty());
    if (!device.reason.empty()) {
      WARN("device " << device.name << " is not tested: " << device.reason);
      CHECK(device.reason.find("use --device cpu") != std::string::npos);
      CHECK(device.reason.find('\n') == std::string::npos);
    }
  }
}
