#include "boundlight/device/modules.hpp"

#include <dlfcn.h>

#include <filesystem>
#include <map>
#include <mutex>

namespace boundlight::device {
namespace {

// The folder of the library that this code is in.
std::filesystem::path own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&module_symbol), &info) == 0 || !info.dli_fname) return {};
  std::error_code ignored;
  const auto real = std::filesystem::canonical(info.dli_fname, ignored);
  return (ignored ? std::filesystem::path(info.dli_fname) : real).parent_path();
}

Result<void*> open(const std::string& name) {
  const std::string file = "libboundlight_" + name + ".so";
  const auto folder = own_folder();
  for (const auto& path : {folder / file, folder / "boundlight" / file}) {
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) continue;
    if (void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
    const char* reason = dlerror();
    return Error{ErrorKind::unsupported, "device " + name,
                 std::string("its module cannot be loaded here (") + (reason ? reason : "no reason given") + "); use --device cpu"};
  }
  return Error{ErrorKind::unsupported, "device " + name,
               "this installation has no " + file + " in " + folder.string() + "; install the package that holds it, or use --device cpu"};
}

}  // namespace

Result<const void*> module_symbol(const std::string& name, const std::string& symbol) {
  static std::mutex mutex;
  static std::map<std::string, void*> handles;
  const std::lock_guard lock(mutex);
  auto found = handles.find(name);
  if (found == handles.end()) {
    BL_TRY(handle, open(name));
    found = handles.emplace(name, handle).first;
  }
  if (const void* address = dlsym(found->second, symbol.c_str())) return address;
  return Error{ErrorKind::unsupported, "device " + name, "its module belongs to another version of boundlight; reinstall both together"};
}

}  // namespace boundlight::device
