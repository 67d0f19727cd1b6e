// Law cases as graphs (support/laws.hpp).
#include <cmath>
#include <random>

#include "support/laws.hpp"

namespace boundlight::test {
namespace {

class CaseGraph {
 public:
  CaseGraph(const LawCase& c, std::uint64_t seed, DataType floats, Nudge nudge) : c_(c), random_(seed), floats_(floats), nudge_(nudge) {}

  Graph build() {
    g_.source = "law";
    g_.opset = c_.version;
    Node node = node_of(c_.op);
    node.attributes = c_.attributes;
    for (std::size_t k = 0; k < c_.inputs.size(); ++k) node.inputs.push_back(input(k));
    // A product of one value with itself.
    if (c_.op == "Mul" && node.inputs.size() == 1) node.inputs.push_back(node.inputs[0]);
    for (std::size_t s = 0; s < c_.outputs; ++s) node.outputs.push_back(value(numbered("y", s)));
    g_.nodes.push_back(node);
    g_.outputs = node.outputs;
    if (!c_.added) return std::move(g_);
    Node add = node_of("Add");
    const ValueId x = value("x");
    g_.values.back().type = floats_;
    g_.values.back().shape = Shape{1};
    g_.inputs.push_back(x);
    add.inputs = {node.outputs[0], x};
    add.outputs = {value("z")};
    g_.outputs = add.outputs;
    g_.nodes.push_back(add);
    return std::move(g_);
  }

 private:
  Node node_of(const std::string& op) const {
    Node n;
    n.op = op;
    n.name = op;
    n.version = c_.version;
    return n;
  }
  ValueId value(const std::string& name) {
    Value v;
    v.name = name;
    g_.values.push_back(std::move(v));
    return static_cast<ValueId>(g_.values.size() - 1);
  }
  ValueId input(std::size_t k) {
    const LawInput& in = c_.inputs[k];
    if (in.absent) return kAbsent;
    const ValueId id = value(numbered("x", k));
    Value& v = g_.values.back();
    v.type = in.type == DataType::float32 && !((c_.op == "Resize" || c_.op == "Upsample") && k > 0) ? floats_ : in.type;  // scales are float32 in every model
    v.shape = in.shape;
    if (!in.constant) {
      g_.inputs.push_back(id);
      return id;
    }
    auto numbers = in.values;
    const std::int64_t count = element_count(in.shape).value_or(0);
    while (static_cast<std::int64_t>(numbers.size()) < count) numbers.push_back(std::round(std::uniform_real_distribution<double>(in.low, in.high)(random_) * 16) / 16);
    if (nudge_.by != 0 && nudge_.input == k) numbers[nudge_.element] += nudge_.by;
    v.constant = Tensor::from_doubles(*v.type, in.shape, numbers);
    return id;
  }

  const LawCase& c_;
  std::mt19937_64 random_;
  DataType floats_;
  Nudge nudge_;
  Graph g_;
};

}  // namespace

std::string law_name(const LawCase& c, std::uint64_t seed, const std::string& device) {
  return "op=" + c.op + " " + c.label + " seed=" + std::to_string(seed) + " device=" + device;
}

Graph law_graph(const LawCase& c, std::uint64_t seed, DataType floats, Nudge nudge) { return CaseGraph(c, seed, floats, nudge).build(); }

}  // namespace boundlight::test
