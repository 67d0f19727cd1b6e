// The validation of a model: names, versions, declarations, order. Every error names the file and the thing in it.
#include <algorithm>
#include <queue>
#include <set>
#include <unordered_map>

#include "boundlight/models/errors.hpp"
#include "boundlight/models/onnx_messages.hpp"

namespace boundlight::onnx_reader {
namespace {

constexpr std::int64_t kOldestOpset = 7;
constexpr std::int64_t kNewestOpset = 21;
constexpr std::int64_t kNewestIr = 10;


std::string plain_domain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

std::string join_names(const std::vector<std::string>& names, std::size_t most = 3) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < most; ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
  return text;
}

// Takes a model message apart, in the order: versions, inputs, initializers, nodes, declarations, outputs, order.
class Builder {
 public:
  Builder(onnx::ModelProto& model, const std::string& source, ExternalFiles& external)
      : model_(model), message_(*model.mutable_graph()), external_(external) {
    graph_.source = source;
  }

  Result<Graph> build() {
    BL_CHECK(read_versions());
    read_descriptions();
    BL_CHECK(read_inputs());
    BL_CHECK(read_initializers());
    BL_CHECK(read_nodes());
    BL_CHECK(read_value_infos());
    BL_CHECK(read_outputs());
    BL_CHECK(check_defined());
    for (const auto& value : graph_.values) BL_CHECK(check_name(value.name));
    BL_CHECK(sort_nodes(graph_, producer_));
    return std::move(graph_);
  }

 private:
  enum class Maker : std::uint8_t { nobody, input, initializer, node };

  // Names are shown, addressed and written as JSON: they must be text.
  Result<void> check_name(const std::string& name) const {
    if (is_utf8(name)) return {};
    return bad_input(graph_.source, "the name \"" + name + "\" is not UTF-8 text; the file is damaged: fetch or export it again");
  }

  std::string place(const std::string& what) const { return graph_.source + ": " + what; }

  ValueId value_of(const std::string& name) {
    const auto [at, fresh] = ids_.try_emplace(name, static_cast<ValueId>(graph_.values.size()));
    if (fresh) {
      graph_.values.push_back({name, {}, {}, {}});
      maker_.push_back(Maker::nobody);
      producer_.push_back(-1);
    }
    return at->second;
  }

  Result<void> read_versions();
  void read_descriptions();
  Result<void> read_inputs();
  Result<void> read_initializers();
  Result<void> read_initializer(onnx::TensorProto& tensor);
  Result<void> read_nodes();
  Result<void> read_node(onnx::NodeProto& message, std::size_t index);
  Result<void> read_node_values(onnx::NodeProto& message, Node& node, std::int32_t index);
  Result<void> read_value_infos();
  Result<void> read_outputs();
  Result<void> check_defined() const;
  Result<void> declare(ValueId id, const Declared& declared, const std::string& where);

  onnx::ModelProto& model_;
  onnx::GraphProto& message_;
  ExternalFiles& external_;
  Graph graph_;
  std::unordered_map<std::string, ValueId> ids_;
  std::vector<Maker> maker_;            // per value
  std::vector<std::int32_t> producer_;  // per value: node index or -1
  std::map<std::string, std::int64_t> opsets_;
};

Result<void> Builder::read_versions() {
  const std::string& source = graph_.source;
  graph_.ir_version = model_.ir_version();
  if (graph_.ir_version <= 0) return bad_input(source, "is not a complete ONNX model, it has no IR version; fetch or export it again");
  if (graph_.ir_version < 3) return unsupported(source, "has IR version " + std::to_string(graph_.ir_version) + ", older than 3; convert it with onnx.version_converter");
  if (graph_.ir_version > kNewestIr) graph_.notes.push_back("IR version " + std::to_string(graph_.ir_version) + " is newer than " + std::to_string(kNewestIr) + ", the newest one known here; trying");
  for (const auto& import : model_.opset_import()) {
    const std::string domain = plain_domain(import.domain());
    const std::string shown = domain.empty() ? "ai.onnx" : domain;
    if (import.version() <= 0) return bad_input(source, "imports version " + std::to_string(import.version()) + " of the operators of " + shown + ", which cannot be; export it again");
    const auto [at, fresh] = opsets_.try_emplace(domain, import.version());
    if (!fresh && at->second != import.version()) return bad_input(source, "imports two versions of the operators of " + shown + "; export it again");
  }
  if (opsets_.empty()) return bad_input(source, "imports no operator set; export it again");
  if (const auto at = opsets_.find(""); at != opsets_.end()) {
    graph_.opset = at->second;
    if (graph_.opset < kOldestOpset) graph_.notes.push_back("opset " + std::to_string(graph_.opset) + " is older than " + std::to_string(kOldestOpset) + ", the oldest one known here; trying");
    if (graph_.opset > kNewestOpset) graph_.notes.push_back("opset " + std::to_string(graph_.opset) + " is newer than " + std::to_string(kNewestOpset) + ", the newest one known here; trying");
  }
  return {};
}

void Builder::read_descriptions() {
  graph_.name = printable(message_.name());
  graph_.producer = model_.producer_name();
  if (!model_.producer_version().empty()) graph_.producer += (graph_.producer.empty() ? "" : " ") + model_.producer_version();
  graph_.producer = printable(graph_.producer);
  constexpr std::size_t kMostMetadata = std::size_t{1} << 20;
  for (const auto& entry : model_.metadata_props()) graph_.metadata[printable(entry.key())] = printable(entry.value(), kMostMetadata);
  if (model_.training_info_size() > 0) graph_.notes.push_back("the training information in the file is ignored");
  if (message_.quantization_annotation_size() > 0) graph_.notes.push_back("the quantisation annotations in the file are ignored");
}

// Merges what the file declares of a value with what is known; a contradiction is an error.
Result<void> Builder::declare(ValueId id, const Declared& declared, const std::string& where) {
  Value& value = graph_.values[static_cast<std::size_t>(id)];
  if (declared.type) {
    if (value.type && *value.type != *declared.type) {
      return bad_input(where, "is declared as " + std::string(name_of(*declared.type)) + ", elsewhere as " + std::string(name_of(*value.type)) + "; export the model again");
    }
    value.type = declared.type;
  }
  if (!declared.shape) return {};
  if (!value.shape) { value.shape = declared.shape; return {}; }
  bool agree = value.shape->size() == declared.shape->size();
  for (std::size_t i = 0; agree && i < declared.shape->size(); ++i) {
    auto& known = (*value.shape)[i];
    const auto other = (*declared.shape)[i];
    if (known == -1) known = other;
    agree = other == -1 || known == other;
  }
  if (!agree) return bad_input(where, "is declared as " + to_string(*declared.shape) + ", elsewhere as " + to_string(*value.shape) + "; export the model again");
  return {};
}

Result<void> Builder::read_inputs() {
  for (const auto& info : message_.input()) {
    const std::string where = place("input " + info.name());
    if (info.name().empty()) return bad_input(graph_.source, "has an input without a name; export it again");
    const ValueId id = value_of(info.name());
    if (maker_[static_cast<std::size_t>(id)] != Maker::nobody) return bad_input(where, "is listed twice; export the model again");
    maker_[static_cast<std::size_t>(id)] = Maker::input;
    BL_TRY(declared, read_declaration(info, where));
    BL_CHECK(declare(id, declared, where));
    graph_.inputs.push_back(id);
  }
  return {};
}

Result<void> Builder::read_initializers() {
  if (message_.sparse_initializer_size() > 0) {
    return unsupported(place("initializer " + message_.sparse_initializer(0).values().name()), "is a sparse tensor, which is not supported; export the model with dense weights");
  }
  for (auto& tensor : *message_.mutable_initializer()) BL_CHECK(read_initializer(tensor));

  // Until IR version 3 every initializer had to be an input as well; since 4 such an input has a default value.
  std::vector<std::string> defaults;
  std::erase_if(graph_.inputs, [&](ValueId id) {
    const Value& value = graph_.values[static_cast<std::size_t>(id)];
    if (value.constant && graph_.ir_version >= 4) defaults.push_back(value.name);
    return value.constant.has_value();
  });
  if (!defaults.empty()) graph_.notes.push_back("inputs with a default value are kept at it: " + join_names(defaults));
  return {};
}

Result<void> Builder::read_initializer(onnx::TensorProto& tensor) {
  if (tensor.name().empty()) return bad_input(graph_.source, "has an initializer without a name; export it again");
  const std::string where = place("initializer " + tensor.name());
  const auto id = static_cast<std::size_t>(value_of(tensor.name()));
  if (maker_[id] == Maker::initializer) return bad_input(where, "is given twice; export the model again");
  maker_[id] = Maker::initializer;
  BL_TRY(constant, read_tensor(tensor, external_, where));
  BL_CHECK(declare(static_cast<ValueId>(id), {constant.type(), constant.shape()}, where));
  graph_.values[id].constant = std::move(constant);
  return {};
}

Result<void> Builder::read_nodes() {
  std::set<std::pair<std::string, std::string>> functions;
  for (const auto& function : model_.functions()) functions.emplace(plain_domain(function.domain()), function.name());
  graph_.nodes.reserve(static_cast<std::size_t>(message_.node_size()));
  for (int i = 0; i < message_.node_size(); ++i) {
    auto& message = *message_.mutable_node(i);
    if (functions.contains({plain_domain(message.domain()), message.op_type()})) {
      const std::string name = message.name().empty() ? message.op_type() + "_" + std::to_string(i) : message.name();
      return unsupported(place("node " + name + " (" + message.op_type() + ")"), "calls a function defined in the model, which is not supported; inline it with onnx.inliner.inline_local_functions");
    }
    BL_CHECK(read_node(message, static_cast<std::size_t>(i)));
  }
  if (!functions.empty()) graph_.notes.push_back("the functions in the file are not used and ignored");
  return {};
}

Result<void> Builder::read_node(onnx::NodeProto& message, std::size_t index) {
  Node node;
  node.op = message.op_type();
  node.name = message.name().empty() ? node.op + "_" + std::to_string(index) : message.name();
  node.domain = plain_domain(message.domain());
  const std::string where = graph_.place(node);
  BL_CHECK(check_name(node.name));
  BL_CHECK(check_name(node.op));
  if (node.op.empty()) return bad_input(where, "names no operator; export the model again");
  const auto opset = opsets_.find(node.domain);
  if (opset == opsets_.end()) {
    return bad_input(where, "is an operator of " + (node.domain.empty() ? "ai.onnx" : node.domain) + ", which the model does not import; export it again");
  }
  node.version = opset->second;
  BL_CHECK(read_node_values(message, node, static_cast<std::int32_t>(index)));
  for (auto& attribute : *message.mutable_attribute()) {
    BL_CHECK(check_name(attribute.name()));
    if (attribute.name().empty()) return bad_input(where, "has an attribute without a name; export the model again");
    BL_TRY(value, read_attribute(attribute, external_, where));
    if (!node.attributes.emplace(attribute.name(), std::move(value)).second) {
      return bad_input(where, "has the attribute " + attribute.name() + " twice; export the model again");
    }
  }
  graph_.nodes.push_back(std::move(node));
  return {};
}

Result<void> Builder::read_node_values(onnx::NodeProto& message, Node& node, std::int32_t index) {
  const std::string where = graph_.place(node);
  for (const auto& name : message.input()) node.inputs.push_back(name.empty() ? kAbsent : value_of(name));
  if (message.output_size() == 0) return bad_input(where, "has no output; export the model again");
  for (const auto& name : message.output()) {
    node.outputs.push_back(name.empty() ? kAbsent : value_of(name));
    if (name.empty()) continue;
    const auto id = static_cast<std::size_t>(node.outputs.back());
    if (maker_[id] != Maker::nobody) {
      const char* other = maker_[id] == Maker::input ? "an input" : maker_[id] == Maker::initializer ? "an initializer" : "another node's output";
      return bad_input(where, "its output " + name + " is already " + other + "; export the model again");
    }
    maker_[id] = Maker::node;
    producer_[id] = index;
  }
  return {};
}

Result<void> Builder::read_value_infos() {
  for (const auto& info : message_.value_info()) {
    const auto at = ids_.find(info.name());
    if (at == ids_.end()) continue;  // describes something that is not there: harmless
    const std::string where = place("value " + info.name());
    BL_TRY(declared, read_declaration(info, where));
    BL_CHECK(declare(at->second, declared, where));
  }
  return {};
}

Result<void> Builder::read_outputs() {
  if (message_.output_size() == 0) return bad_input(graph_.source, "has no outputs; export it again");
  for (const auto& info : message_.output()) {
    const std::string where = place("output " + info.name());
    const auto at = ids_.find(info.name());
    if (info.name().empty() || at == ids_.end()) return bad_input(where, "is made by no node; export the model again");
    if (std::count(graph_.outputs.begin(), graph_.outputs.end(), at->second) != 0) return bad_input(where, "is listed twice; export the model again");
    BL_TRY(declared, read_declaration(info, where));
    BL_CHECK(declare(at->second, declared, where));
    graph_.outputs.push_back(at->second);
  }
  return {};
}

Result<void> Builder::check_defined() const {
  const auto dangling = [&](ValueId id) { return id != kAbsent && maker_[static_cast<std::size_t>(id)] == Maker::nobody; };
  for (const auto& node : graph_.nodes) {
    for (const ValueId id : node.inputs) {
      if (dangling(id)) return bad_input(graph_.place(node), "its input " + graph_.values[static_cast<std::size_t>(id)].name + " is made by nothing; export the model again");
    }
  }
  for (const ValueId id : graph_.outputs) {
    if (dangling(id)) return bad_input(place("output " + graph_.values[static_cast<std::size_t>(id)].name), "is made by no node; export the model again");
  }
  return {};
}

}  // namespace

Result<Graph> read_model(onnx::ModelProto& model, const std::string& source, ExternalFiles& external) {
  return Builder(model, source, external).build();
}

Result<void> sort_nodes(Graph& graph, const std::vector<std::int32_t>& producer) {
  const std::size_t n = graph.nodes.size();
  std::vector<std::vector<std::int32_t>> users(n);
  std::vector<std::int32_t> missing(n, 0);  // inputs not yet made
  for (std::size_t i = 0; i < n; ++i) {
    for (const ValueId id : graph.nodes[i].inputs) {
      const std::int32_t from = id == kAbsent ? -1 : producer[static_cast<std::size_t>(id)];
      if (from < 0) continue;
      users[static_cast<std::size_t>(from)].push_back(static_cast<std::int32_t>(i));
      ++missing[i];
    }
  }
  std::priority_queue<std::int32_t, std::vector<std::int32_t>, std::greater<>> ready;  // smallest index: the file's order
  for (std::size_t i = 0; i < n; ++i) if (missing[i] == 0) ready.push(static_cast<std::int32_t>(i));
  std::vector<Node> sorted;
  sorted.reserve(n);
  while (!ready.empty()) {
    const auto i = static_cast<std::size_t>(ready.top());
    ready.pop();
    sorted.push_back(std::move(graph.nodes[i]));
    for (const auto user : users[i]) if (--missing[static_cast<std::size_t>(user)] == 0) ready.push(user);
  }
  if (sorted.size() == n) {
    graph.nodes = std::move(sorted);
    return {};
  }
  // Walking backward over nodes that never got ready must come to a cycle; its first repeated node lies on it.
  std::size_t at = 0;
  while (missing[at] == 0) ++at;
  std::vector<bool> seen(n, false);
  while (!seen[at]) {
    seen[at] = true;
    for (const ValueId id : graph.nodes[at].inputs) {
      const std::int32_t from = id == kAbsent ? -1 : producer[static_cast<std::size_t>(id)];
      if (from >= 0 && missing[static_cast<std::size_t>(from)] > 0) { at = static_cast<std::size_t>(from); break; }
    }
  }
  return bad_input(graph.place(graph.nodes[at]), "depends on its own output, the graph has a cycle; export the model again");
}

}  // namespace boundlight::onnx_reader
