#include "boundlight/apps/cli/command.hpp"

#include <cstdio>

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
