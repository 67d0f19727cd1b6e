#include "boundlight/apps/cli/images.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <set>

namespace boundlight::cli {
namespace {

bool looks_readable(const std::filesystem::path& path) {
  std::string end = path.extension().string();
  std::transform(end.begin(), end.end(), end.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return end == ".png" || end == ".jpg" || end == ".jpeg" || end == ".npy";
}

Result<std::vector<std::string>> files_of(const std::string& text) {
  std::error_code error;
  if (!std::filesystem::is_directory(text, error)) return std::vector<std::string>{text};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(text, error))
    if (entry.is_regular_file() && looks_readable(entry.path())) files.push_back(entry.path().string());
  if (error) return Error{ErrorKind::io, text, "cannot read the folder: " + error.message()};
  if (files.empty()) return Error{ErrorKind::bad_input, text, "the folder holds no PNG, JPEG or .npy file"};
  std::sort(files.begin(), files.end());
  return files;
}

// The last part of the name in letters that every file system takes; a number behind it where that is not new.
std::string folder_of(const std::string& name, std::set<std::string>& taken) {
  std::string base = std::filesystem::path(name).filename().string(), made;
  for (const char c : base) made += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' ? c : '_';
  while (!made.empty() && (made.back() == '_' || made.back() == '.')) made.pop_back();
  if (made.empty() || made[0] == '.') made = "image" + made;
  std::string unlike = made;
  for (int i = 2; !taken.insert(unlike).second; ++i) unlike = made + "-" + std::to_string(i);
  return unlike;
}

}  // namespace

Result<std::vector<NamedImage>> load_images(const Network& network, const InputArguments& a, const Output& output) {
  if (network.inputs.size() != 1)
    return Error{ErrorKind::unsupported, network.source, "this command needs a model with one input, this one has " + std::to_string(network.inputs.size())};
  const NetworkValue& value = network.values[static_cast<std::size_t>(network.inputs[0])];
  BL_TRY(options, input_options(a));
  std::vector<NamedImage> images;
  std::set<std::string> taken;
  for (const std::string& text : a.inputs) {
    const std::string plain = text.rfind(value.name + "=", 0) == 0 ? text.substr(value.name.size() + 1) : text;
    BL_TRY(files, files_of(plain));
    for (const std::string& file : files) {
      BL_TRY(samples, load_inputs(file, value.shape, options));
      if (images.empty() && output.text() && !samples.empty())
        for (const auto& line : samples[0].applied) std::fprintf(stderr, "input: %s\n", line.c_str());
      for (std::size_t i = 0; i < samples.size(); ++i) {
        const std::string name = samples.size() == 1 ? file : file + " #" + std::to_string(i);
        images.push_back({name, folder_of(name, taken), std::move(samples[i])});
      }
    }
  }
  if (images.empty()) return Error{ErrorKind::bad_input, "option --input", "there is no image in it"};
  return images;
}

}  // namespace boundlight::cli
