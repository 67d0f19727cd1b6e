// boundlight info MODEL: what is in a model file and what can be done with it.
#include <cstdio>
#include <map>
#include <string_view>

#include "boundlight/apps/cli/command.hpp"
#include "boundlight/bounds/ops/op.hpp"

namespace boundlight::cli {
namespace {

struct Summary {
  std::int64_t parameters = 0;
  std::map<std::string, std::pair<int, const OpInfo*>> operators;
};

Summary summarise(const Network& network) {
  Summary s;
  for (const auto& v : network.values)
    if (v.constant && is_floating(v.type)) s.parameters += v.size;
  for (const auto& n : network.nodes) {
    auto& entry = s.operators[n.node.op];
    ++entry.first;
    entry.second = n.op;
  }
  return s;
}

Json describe(const Network& network, ValueId id) {
  const auto& v = network.values[static_cast<std::size_t>(id)];
  return {{"name", v.name}, {"type", name_of(v.type)}, {"shape", v.shape}};
}

std::string line(const Network& network, ValueId id) {
  const auto& v = network.values[static_cast<std::size_t>(id)];
  return v.name + "  " + std::string(name_of(v.type)) + " " + to_string(v.shape);
}

void print(const Network& network, const Summary& s, bool graph) {
  std::printf("model       %s\nsha256      %s\nopset       %lld (IR %lld)\nparameters  %lld\n", network.source.c_str(), network.sha256.c_str(),
              static_cast<long long>(network.opset), static_cast<long long>(network.ir_version), static_cast<long long>(s.parameters));
  for (const ValueId id : network.inputs) std::printf("input       %s\n", line(network, id).c_str());
  for (const ValueId id : network.outputs) std::printf("output      %s\n", line(network, id).c_str());
  if (network.logits != network.outputs[0]) std::printf("logits      %s\n", line(network, network.logits).c_str());
  std::printf("\n%-22s %5s  %-7s %-22s %-18s %s\n", "operator", "nodes", "value", "gradient", "interval", "linear");
  for (const auto& [name, entry] : s.operators)
    std::printf("%-22s %5d  %-7s %-22s %-18s %s\n", name.c_str(), entry.first, entry.second->value, entry.second->gradient, entry.second->interval, entry.second->linear);
  if (!graph) return;
  std::printf("\ngraph\n");
  for (const auto& n : network.nodes) {
    std::string text = n.node.op + "(";
    for (const ValueId in : n.node.inputs)
      text += (text.back() == '(' ? "" : ", ") + (in == kAbsent ? "-" : network.values[static_cast<std::size_t>(in)].name);
    text += ") ->";
    for (const ValueId out : n.node.outputs)
      if (out != kAbsent) text += " " + network.values[static_cast<std::size_t>(out)].name + " " + to_string(network.values[static_cast<std::size_t>(out)].shape);
    std::printf("  %s\n", text.c_str());
  }
}

Result<int> run_info(const std::string& model, const std::string& json, bool graph) {
  const Output output(json);
  BL_TRY(network, load_network(model, output));
  const Summary s = summarise(*network);
  if (output.text()) print(*network, s, graph);
  Json j = {{"model", network->source}, {"sha256", network->sha256}, {"opset", network->opset}, {"ir_version", network->ir_version}, {"parameters", s.parameters}};
  for (const char* list : {"inputs", "outputs"}) {
    j[list] = Json::array();
    for (const ValueId id : std::string_view(list) == "inputs" ? network->inputs : network->outputs) j[list].push_back(describe(*network, id));
  }
  j["logits"] = network->values[static_cast<std::size_t>(network->logits)].name;
  j["operators"] = Json::array();
  for (const auto& [name, entry] : s.operators)
    j["operators"].push_back({{"name", name}, {"nodes", entry.first}, {"value", entry.second->value}, {"gradient", entry.second->gradient},
                              {"interval", entry.second->interval}, {"linear", entry.second->linear}});
  j["nodes"] = Json::array();
  for (const auto& n : network->nodes) {
    Json outputs = Json::array();
    for (const ValueId out : n.node.outputs)
      if (out != kAbsent) outputs.push_back(describe(*network, out));
    j["nodes"].push_back({{"name", n.node.name}, {"operator", n.node.op}, {"outputs", outputs}});
  }
  j["notes"] = network->notes;
  BL_CHECK(output.finish(j));
  return kDone;
}

}  // namespace

void add_info(CLI::App& app, Session& session) {
  struct Options { std::string model, json; bool graph = false; };
  auto* command = app.add_subcommand("info", "Show a model: inputs, outputs, operators and their support");
  auto o = std::make_shared<Options>();
  command->add_option("model", o->model, "ONNX file")->required()->type_name("MODEL");
  command->add_flag("--graph", o->graph, "List every node with its shapes");
  add_json_option(*command, o->json);
  command->footer("Example: boundlight info examples/honest.onnx --graph");
  command->callback([&session, o] { session.run = [o] { return run_info(o->model, o->json, o->graph); }; });
}

}  // namespace boundlight::cli
