// Where tests find shared data and put files of their own.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>

namespace boundlight::test {

// The folder of models and images beside the project, when it is there.
inline std::optional<std::filesystem::path> shared_data() {
  const char* named = std::getenv("BOUNDLIGHT_SHARED");
  const std::filesystem::path folder = std::filesystem::path(named != nullptr ? named : BL_SOURCE_DIR "/../shared") / "data";
  if (!std::filesystem::is_directory(folder)) return std::nullopt;
  return folder;
}

// An empty folder, removed at the end of its scope.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "boundlight-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a scratch folder");
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace boundlight::test
