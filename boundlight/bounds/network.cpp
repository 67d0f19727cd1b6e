#include "boundlight/bounds/network.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "boundlight/bounds/ops/op.hpp"
#include "boundlight/bounds/rewrites.hpp"

namespace boundlight {
namespace {

// What an operator may say about folding (OpInfo::exact).
bool folds(const OpInfo& op, DataType type) {
  const std::string_view exact = op.exact;
  return exact == "all" || ((exact == "integers" || exact == "own") && !is_floating(type));
}

// The same real numbers.
bool same_values(const Tensor& a, const Tensor& b) {
  if (is_floating(a.type()) || is_floating(b.type())) return a.to_doubles() == b.to_doubles() && a.to_int64s() == b.to_int64s();
  return a.to_int64s() == b.to_int64s();
}

std::string_view kind_of(const Attribute& a) {
  static constexpr std::string_view kKinds[] = {"i", "f", "s", "I", "F", "S", "t"};
  return kKinds[a.index()];
}

std::string_view kind_name(std::string_view kind) {
  static const std::map<std::string_view, std::string_view> names = {
      {"i", "an integer"}, {"f", "a number"}, {"s", "a text"}, {"I", "a list of integers"}, {"F", "a list of numbers"}, {"S", "a list of texts"}, {"t", "a tensor"}};
  const auto found = names.find(kind);
  return found == names.end() ? kind : found->second;
}

Result<void> check_attributes(const Node& node, const OpInfo& op) {
  std::map<std::string, std::string, std::less<>> allowed;
  std::string_view rest = op.attributes;
  while (!rest.empty()) {
    const auto end = rest.find(' ');
    const auto item = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    const auto colon = item.find(':');
    allowed.emplace(item.substr(0, colon), item.substr(colon + 1));
  }
  for (const auto& [name, value] : node.attributes) {
    const auto found = allowed.find(name);
    if (found == allowed.end()) return refuse("attribute '" + name + "' is not known for this operator");
    if (found->second != kind_of(value))
      return refuse("attribute '" + name + "' must be " + std::string(kind_name(found->second)) + ", it is " + std::string(kind_name(kind_of(value))));
  }
  return {};
}

Result<void> check_inputs(const Node& node, const OpInfo& op) {
  if (node.version < op.oldest)
    return refuse("is of opset " + std::to_string(node.version) + ", its meaning is known from " + std::to_string(op.oldest) + " on; convert the model with onnx.version_converter");
  const int n = static_cast<int>(node.inputs.size());
  if (n > op.most) return refuse("has " + std::to_string(n) + " inputs, it takes " + (op.least == op.most ? "" : "at most ") + std::to_string(op.most));
  for (int k = 0; k < op.least; ++k)
    if (k >= n || node.inputs[static_cast<std::size_t>(k)] == kAbsent) return refuse("its input " + std::to_string(k + 1) + " is missing");
  return {};
}

constexpr std::int64_t kRewrittenOpset = 20;  // of the operators that stand for another one

class Preparer {
 public:
  Preparer(const Graph& graph, const NetworkOptions& options) : graph_(graph), options_(options), network_(std::make_shared<Network>()) {}

  Result<std::shared_ptr<const Network>> run() {
    network_->source = graph_.source;
    network_->sha256 = graph_.sha256;
    network_->name = graph_.name;
    network_->opset = graph_.opset;
    network_->ir_version = graph_.ir_version;
    network_->notes = graph_.notes;
    map_.assign(graph_.values.size(), kAbsent);
    BL_CHECK(add_inputs());
    for (std::size_t v = 0; v < graph_.values.size(); ++v)
      if (graph_.values[v].constant) {
        NetworkValue value;
        value.name = graph_.values[v].name;
        set_constant(value, *graph_.values[v].constant);
        map_[v] = append(std::move(value));
      }
    for (const Node& node : graph_.nodes) {
      auto added = add_node(node);
      if (!added.ok()) {
        Error error = added.error();
        if (error.place.empty()) error.place = graph_.place(node);
        return error;
      }
    }
    for (const ValueId id : graph_.outputs) network_->outputs.push_back(map_[static_cast<std::size_t>(id)]);
    if (network_->outputs.empty()) return Error{ErrorKind::bad_input, graph_.source, "the graph has no outputs"};
    if (folded_ > 0) network_->notes.push_back(std::to_string(folded_) + " constant nodes folded (exactly)");
    find_logits();
    drop_dead();
    return std::shared_ptr<const Network>(network_);
  }

 private:
  static void set_constant(NetworkValue& value, const Tensor& tensor) {
    value.type = tensor.type();
    value.shape = tensor.shape();
    value.size = tensor.size();
    value.constant = tensor;
  }

  ValueId append(NetworkValue value) {
    network_->values.push_back(std::move(value));
    return static_cast<ValueId>(network_->values.size() - 1);
  }

  Result<void> add_inputs() {
    std::size_t free = 0;
    for (const ValueId id : graph_.inputs) {
      const Value& v = graph_.values[static_cast<std::size_t>(id)];
      const std::string place = graph_.source + ": input " + v.name;
      if (const auto fixed = options_.fixed.find(v.name); fixed != options_.fixed.end()) {
        BL_CHECK(fix_input(id, v, fixed->second, place));
        continue;
      }
      if (!v.type) return Error{ErrorKind::bad_input, place, "the model does not give the input's element type"};
      if (!v.shape) return Error{ErrorKind::bad_input, place, "the model does not give the input's shape; export it with one"};
      NetworkValue value;
      value.name = v.name;
      value.type = *v.type;
      value.shape = *v.shape;
      bool any_free = false;
      for (auto& dimension : value.shape)
        if (dimension < 0) {
          dimension = free < options_.free_dimensions.size() ? options_.free_dimensions[free] : 1;
          ++free;
          any_free = true;
        }
      const auto count = element_count(value.shape);
      if (!count) return Error{ErrorKind::bad_input, place, "the shape " + to_string(value.shape) + " is too large"};
      value.size = *count;
      if (any_free) network_->notes.push_back("input " + v.name + ": free dimensions set, shape " + to_string(value.shape));
      map_[static_cast<std::size_t>(id)] = append(std::move(value));
      network_->inputs.push_back(map_[static_cast<std::size_t>(id)]);
    }
    return {};
  }

  Result<void> fix_input(ValueId id, const Value& v, const Tensor& tensor, const std::string& place) {
    bool fits = !v.shape || v.shape->size() == tensor.shape().size();
    for (std::size_t a = 0; fits && v.shape && a < v.shape->size(); ++a) fits = (*v.shape)[a] < 0 || (*v.shape)[a] == tensor.shape()[a];
    if (v.type && *v.type != tensor.type()) return Error{ErrorKind::bad_input, place, "is " + std::string(name_of(*v.type)) + ", the value to fix it to is " + std::string(name_of(tensor.type()))};
    if (!fits) return Error{ErrorKind::bad_input, place, "has shape " + to_string(*v.shape) + ", the value to fix it to " + to_string(tensor.shape())};
    NetworkValue value;
    value.name = v.name;
    set_constant(value, tensor);
    map_[static_cast<std::size_t>(id)] = append(std::move(value));
    network_->notes.push_back("input " + v.name + " fixed to a value");
    return {};
  }

  Result<void> add_node(const Node& node) {
    const OpInfo* op = node.domain.empty() || node.domain == "ai.onnx" ? find_op(node.op) : nullptr;
    if (!op)
      return refuse("operator " + (node.domain.empty() ? "" : node.domain + ".") + node.op +
                    " is not supported; `boundlight ops` lists those that are");
    BL_CHECK(check_attributes(node, *op));
    BL_CHECK(check_inputs(node, *op));
    NodeView view;
    view.node = &node;
    NetworkNode made{node, op};
    for (auto& id : made.node.inputs) {
      if (id != kAbsent) id = map_[static_cast<std::size_t>(id)];
      view.inputs.push_back(id == kAbsent ? nullptr : &network_->values[static_cast<std::size_t>(id)]);
    }
    BL_TRY(shapes, op->infer(view));
    if (shapes.size() < node.outputs.size())
      return refuse("has " + std::to_string(node.outputs.size()) + " outputs, " + std::to_string(shapes.size()) + " are known for this operator");
    for (const auto& s : shapes)
      if (!element_count(s.shape)) return refuse("the output shape " + to_string(s.shape) + " is negative or too large");
    if (std::string_view(op->exact) == "alias") return add_alias(node, view, *op, made.node.inputs[0]);
    if (can_fold(view, *op)) {
      BL_TRY(folded, fold(node, view, *op));
      if (folded) return {};
    }
    if (needs_rewriting(view)) return rewrite(node, view, made.node.inputs);
    const int index = static_cast<int>(network_->nodes.size());
    for (std::size_t s = 0; s < node.outputs.size(); ++s) {
      if (node.outputs[s] == kAbsent) continue;
      NetworkValue value;
      value.name = graph_.values[static_cast<std::size_t>(node.outputs[s])].name;
      value.type = shapes[s].type;
      value.shape = shapes[s].shape;
      value.size = *element_count(value.shape);
      value.producer = index;
      value.output_slot = static_cast<int>(s);
      made.node.outputs[s] = map_[static_cast<std::size_t>(node.outputs[s])] = append(std::move(value));
    }
    network_->nodes.push_back(std::move(made));
    return {};
  }

  // The node as other operators (rewrites.hpp), whose values take the names of the node's outputs.
  Result<void> rewrite(const Node& node, const NodeView& view, const std::vector<ValueId>& inputs) {
    const std::string name = node.name.empty() ? node.op : node.name;
    const auto append_constant = [&](const Tensor& tensor) {
      NetworkValue value;
      value.name = name + "/" + std::to_string(network_->values.size());
      set_constant(value, tensor);
      return append(std::move(value));
    };
    Rewriting to;
    to.constant = append_constant;
    to.node = [&](const char* op, std::vector<ValueId> in, Rewriting::Attributes attributes) -> Result<ValueId> {
      NetworkNode made{node, find_op(op)};
      made.node.op = op;
      made.node.version = kRewrittenOpset;
      made.node.attributes = std::move(attributes);
      made.node.inputs = std::move(in);
      NodeView part;
      part.node = &made.node;
      for (const ValueId id : made.node.inputs) part.inputs.push_back(id == kAbsent ? nullptr : &network_->values[static_cast<std::size_t>(id)]);
      BL_TRY(shapes, made.op->infer(part));
      if (can_fold(part, *made.op)) {
        std::vector<const Tensor*> tensors;
        for (const auto* value : part.inputs) tensors.push_back(&*value->constant);
        BL_TRY(folded, made.op->evaluate(part, tensors));
        return append_constant(folded[0]);
      }
      NetworkValue value;
      value.name = name + "/" + std::to_string(network_->values.size());
      value.type = shapes[0].type;
      value.shape = shapes[0].shape;
      value.size = element_count(value.shape).value();
      value.producer = static_cast<int>(network_->nodes.size());
      made.node.outputs = {append(std::move(value))};
      network_->nodes.push_back(std::move(made));
      return network_->nodes.back().node.outputs[0];
    };
    BL_TRY(made, rewritten(view, inputs, to));
    for (std::size_t s = 0; s < node.outputs.size(); ++s) {
      if (node.outputs[s] == kAbsent) continue;
      network_->values[static_cast<std::size_t>(made[s])].name = graph_.values[static_cast<std::size_t>(node.outputs[s])].name;
      map_[static_cast<std::size_t>(node.outputs[s])] = made[s];
    }
    network_->notes.push_back("node " + node.name + " (" + node.op + ") " +
                              (node.op == "LayerNormalization" ? "has a variable scale or bias, or more than one output; it is computed by other operators"
                                                               : "has variable weights or a variable bias; it is computed as a product of matrices"));
    return {};
  }

  // Output 0 is input 0. Further outputs (a mask) depend on shapes only.
  Result<void> add_alias(const Node& node, const NodeView& view, const OpInfo& op, ValueId input) {
    if (node.outputs[0] != kAbsent) {
      map_[static_cast<std::size_t>(node.outputs[0])] = input;
      network_->aliases.emplace_back(graph_.values[static_cast<std::size_t>(node.outputs[0])].name, input);
    }
    if (std::all_of(node.outputs.begin() + 1, node.outputs.end(), [](ValueId id) { return id == kAbsent; })) return {};
    BL_TRY(result, op.evaluate(view, std::vector<const Tensor*>(view.inputs.size(), nullptr)));
    for (std::size_t s = 1; s < node.outputs.size(); ++s) define(node, s, result[s]);
    return {};
  }

  static bool can_fold(const NodeView& view, const OpInfo& op) {
    const std::string_view exact = op.exact;
    if (exact == "shape") return true;
    if (exact == "values") return view.inputs[0]->constant.has_value();
    for (const auto* in : view.inputs)
      if (in && (!in->constant || !folds(op, in->type))) return false;
    return exact == "all" || !view.inputs.empty();
  }

  // False: the value would not be exact.
  Result<bool> fold(const Node& node, const NodeView& view, const OpInfo& op) {
    std::vector<const Tensor*> tensors;
    for (const auto* in : view.inputs) tensors.push_back(in && in->constant ? &*in->constant : nullptr);
    BL_TRY(result, op.evaluate(view, tensors));
    if (std::string_view(op.exact) == "values" && is_floating(result[0].type()) && !same_values(*tensors[0], result[0])) return false;
    for (std::size_t s = 0; s < node.outputs.size(); ++s) define(node, s, result[s]);
    ++folded_;
    return true;
  }

  void define(const Node& node, std::size_t slot, const Tensor& tensor) {
    if (node.outputs[slot] == kAbsent) return;
    NetworkValue value;
    value.name = graph_.values[static_cast<std::size_t>(node.outputs[slot])].name;
    set_constant(value, tensor);
    map_[static_cast<std::size_t>(node.outputs[slot])] = append(std::move(value));
  }

  // A classifier that ends in (Log)Softmax is explained and verified on what goes into it.
  void find_logits() {
    network_->logits = network_->outputs[0];
    const int producer = network_->values[static_cast<std::size_t>(network_->logits)].producer;
    if (producer < 0) return;
    const NetworkNode& last = network_->nodes[static_cast<std::size_t>(producer)];
    if (last.node.op != "Softmax" && last.node.op != "LogSoftmax") return;
    network_->logits = last.node.inputs[0];
    network_->notes.push_back("the model ends in " + last.node.op + "; its logits are " + network_->values[static_cast<std::size_t>(network_->logits)].name);
  }

  void drop_dead() {
    Network& n = *network_;
    std::set<ValueId> live(n.outputs.begin(), n.outputs.end());
    live.insert(n.inputs.begin(), n.inputs.end());
    std::vector<bool> keep(n.nodes.size());
    for (std::size_t i = n.nodes.size(); i-- > 0;) {
      for (const ValueId out : n.nodes[i].node.outputs) keep[i] = keep[i] || (out != kAbsent && live.count(out) > 0);
      if (!keep[i]) continue;
      for (const ValueId in : n.nodes[i].node.inputs)
        if (in != kAbsent) live.insert(in);
    }
    std::vector<ValueId> moved(n.values.size(), kAbsent);
    std::vector<NetworkValue> values;
    std::vector<int> node_moved(n.nodes.size(), -1);
    int nodes = 0;
    for (std::size_t i = 0; i < n.nodes.size(); ++i)
      if (keep[i]) node_moved[i] = nodes++;
    for (std::size_t v = 0; v < n.values.size(); ++v) {
      const int producer = n.values[v].producer;
      const bool stays = live.count(static_cast<ValueId>(v)) > 0 || (producer >= 0 && keep[static_cast<std::size_t>(producer)]);
      if (!stays) continue;
      moved[v] = static_cast<ValueId>(values.size());
      values.push_back(std::move(n.values[v]));
      if (producer >= 0) values.back().producer = node_moved[static_cast<std::size_t>(producer)];
    }
    const auto move = [&](ValueId& id) { id = id == kAbsent ? kAbsent : moved[static_cast<std::size_t>(id)]; };
    std::vector<NetworkNode> kept;
    for (std::size_t i = 0; i < n.nodes.size(); ++i) {
      if (!keep[i]) continue;
      for (auto& id : n.nodes[i].node.inputs) move(id);
      for (auto& id : n.nodes[i].node.outputs) move(id);
      kept.push_back(std::move(n.nodes[i]));
    }
    const std::size_t dropped = n.nodes.size() - kept.size();
    if (dropped > 0) n.notes.push_back(std::to_string(dropped) + " nodes that no output needs dropped");
    n.nodes = std::move(kept);
    n.values = std::move(values);
    for (auto* list : {&n.inputs, &n.outputs})
      for (auto& id : *list) move(id);
    move(n.logits);
    std::erase_if(n.aliases, [&](auto& alias) { move(alias.second); return alias.second == kAbsent; });
    for (std::size_t i = 0; i < n.nodes.size(); ++i)
      for (const ValueId in : n.nodes[i].node.inputs)
        if (in != kAbsent) {
          auto& consumers = n.values[static_cast<std::size_t>(in)].consumers;
          if (consumers.empty() || consumers.back() != static_cast<int>(i)) consumers.push_back(static_cast<int>(i));
        }
  }

  const Graph& graph_;
  const NetworkOptions& options_;
  std::shared_ptr<Network> network_;
  std::vector<ValueId> map_;  // graph value -> network value
  int folded_ = 0;
};

}  // namespace

Result<std::shared_ptr<const Network>> prepare(const Graph& graph, const NetworkOptions& options) { return Preparer(graph, options).run(); }

std::int64_t Network::input_offset(std::size_t k) const {
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < k; ++i) offset += values[static_cast<std::size_t>(inputs[i])].size;
  return offset;
}
std::int64_t Network::input_size() const { return input_offset(inputs.size()); }

std::optional<ValueId> Network::find(std::string_view value_name) const {
  for (std::size_t v = 0; v < values.size(); ++v)
    if (values[v].name == value_name) return static_cast<ValueId>(v);
  for (const auto& [alias, id] : aliases)
    if (alias == value_name) return id;
  return std::nullopt;
}

std::string Network::place(const Node& node) const { return source + ": node " + node.name + " (" + node.op + ")"; }

}  // namespace boundlight
