#include "boundlight/bounds/network_behind.hpp"

#include <vector>

namespace boundlight {
namespace {

// nodes[i]: node i is needed to compute the value.
std::vector<bool> needed_for(const Network& network, ValueId value) {
  std::vector<bool> value_needed(network.values.size()), node_needed(network.nodes.size());
  value_needed[static_cast<std::size_t>(value)] = true;
  for (std::size_t i = network.nodes.size(); i-- > 0;) {
    for (const ValueId out : network.nodes[i].node.outputs) node_needed[i] = node_needed[i] || (out != kAbsent && value_needed[static_cast<std::size_t>(out)]);
    if (!node_needed[i]) continue;
    for (const ValueId in : network.nodes[i].node.inputs)
      if (in != kAbsent) value_needed[static_cast<std::size_t>(in)] = true;
  }
  return node_needed;
}

class Behind {
 public:
  Behind(const Network& from, ValueId cut) : from_(from), cut_(cut), moved_(from.values.size(), kAbsent), made_(std::make_shared<Network>()) {}

  Result<std::shared_ptr<const Network>> run() {
    const NetworkValue& cut = from_.values[static_cast<std::size_t>(cut_)];
    const auto bad = [&](const std::string& what) { return Error{ErrorKind::bad_input, from_.source + ": value " + cut.name, what}; };
    if (cut.constant || cut.producer < 0 || cut_ == from_.logits) return bad("is an input, a constant or the output; name a value in between (`boundlight info --graph` lists them)");
    made_->source = from_.source;
    made_->sha256 = from_.sha256;
    made_->name = from_.name;
    made_->opset = from_.opset;
    made_->ir_version = from_.ir_version;
    made_->inputs = {take(cut_, -1)};
    const auto needed = needed_for(from_, from_.logits);
    for (std::size_t i = 0; i < from_.nodes.size(); ++i) {
      if (!needed[i]) continue;
      bool behind = false, beside = false;
      for (const ValueId in : from_.nodes[i].node.inputs) {
        if (in == kAbsent || from_.values[static_cast<std::size_t>(in)].constant) continue;
        (moved_[static_cast<std::size_t>(in)] != kAbsent ? behind : beside) = true;
      }
      if (!behind) continue;
      if (beside) return bad("does not cut the network: " + from_.nodes[i].node.name + " also reads a value that does not pass through it; name a value behind that node");
      add(from_.nodes[i]);
    }
    const ValueId logits = moved_[static_cast<std::size_t>(from_.logits)];
    if (logits == kAbsent) return bad("the logits do not depend on it");
    made_->outputs = {logits};
    made_->logits = logits;
    return std::shared_ptr<const Network>(made_);
  }

 private:
  ValueId take(ValueId id, int producer) {
    ValueId& to = moved_[static_cast<std::size_t>(id)];
    if (to != kAbsent) return to;
    made_->values.push_back(from_.values[static_cast<std::size_t>(id)]);
    made_->values.back().producer = producer;
    made_->values.back().consumers.clear();
    return to = static_cast<ValueId>(made_->values.size() - 1);
  }

  void add(const NetworkNode& node) {
    const int index = static_cast<int>(made_->nodes.size());
    NetworkNode kept = node;
    for (ValueId& in : kept.node.inputs) {
      if (in == kAbsent) continue;
      in = take(in, -1);
      auto& consumers = made_->values[static_cast<std::size_t>(in)].consumers;
      if (consumers.empty() || consumers.back() != index) consumers.push_back(index);
    }
    for (ValueId& out : kept.node.outputs)
      if (out != kAbsent) out = take(out, index);
    made_->nodes.push_back(std::move(kept));
  }

  const Network& from_;
  ValueId cut_;
  std::vector<ValueId> moved_;
  std::shared_ptr<Network> made_;
};

}  // namespace

Result<std::shared_ptr<const Network>> network_behind(const Network& network, ValueId cut) { return Behind(network, cut).run(); }

}  // namespace boundlight
