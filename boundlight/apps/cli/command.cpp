#include "boundlight/apps/cli/command.hpp"

#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "boundlight/core/files.hpp"
#include "boundlight/models/onnx.hpp"

namespace boundlight::cli {

void Output::say(const std::string& line) const {
  if (text()) std::printf("%s\n", line.c_str());
}

Result<void> Output::finish(const Json& json) const {
  if (json_.empty()) return {};
  const std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (json_ != "-") return write_file(json_, text);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return Error{ErrorKind::io, "standard output", "cannot write the JSON"};
  return {};
}

void add_json_option(CLI::App& app, std::string& json) {
  app.add_option("--json", json, "Write the result as JSON to FILE; '-' prints only JSON on standard output")->type_name("FILE");
}

Result<void> can_write(const std::string& option, const std::string& path) {
  if (path.empty() || path == "-") return {};
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const std::filesystem::path where = folder.empty() ? "." : folder;
  const auto refuse = [&](const std::string& why) { return Error{ErrorKind::io, "option " + option, "cannot write " + path + ": " + why}; };
  if (!std::filesystem::is_directory(where, error)) return refuse("there is no folder " + where.string());
  if (access(where.c_str(), W_OK | X_OK) != 0) return refuse("the folder " + where.string() + " is not writable");
  if (std::filesystem::is_directory(path, error)) return refuse("it is a folder");
  return {};
}

Error bad_option(const std::string& option, const std::string& what) { return {ErrorKind::bad_input, "option " + option, what}; }

const std::map<std::string, Method>& method_names() {
  static const std::map<std::string, Method> names = {
      {"interval", Method::interval}, {"forward", Method::forward}, {"crown", Method::crown}, {"combined", Method::combined}, {"alpha", Method::alpha}};
  return names;
}

Result<std::shared_ptr<const Network>> load_network(const std::string& path, const Output& output) {
  BL_TRY(graph, load_onnx(path));
  BL_TRY(network, prepare(graph));
  if (output.text())
    for (const auto& note : network->notes) std::fprintf(stderr, "note: %s\n", note.c_str());
  return std::move(network);
}

Result<ValueId> find_value(const Network& network, const std::string& name, bool logits) {
  if (name.empty()) return logits ? network.logits : network.outputs[0];
  if (const auto id = network.find(name)) return *id;
  std::string some;
  for (std::size_t i = 0; i < network.values.size() && some.size() < 120; ++i)
    if (!network.values[i].constant) some += (some.empty() ? "" : ", ") + network.values[i].name;
  return Error{ErrorKind::bad_input, "value '" + name + "'", "the model has no value of this name; it has " + some + " (see boundlight info)"};
}

}  // namespace boundlight::cli
