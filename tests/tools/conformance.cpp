// Runs the ONNX node conformance tests: typed values, engine values, and whether certified bounds contain the reference.
//
//   conformance FOLDER [NAME ...]     FOLDER (or, if set, $BOUNDLIGHT_ONNX_NODE_TESTS) holds test_*/; NAMEs select cases
//                                     by parts of their names and make it talkative
//
// Per case: (1) evaluate_typed against the reference output, all element types; (2) where every variable is float32 or
// float64 or follows from such: the cpu engine's values; (3) the any-order interval of the point box [x, x] contains the
// engine's own binary32 values exactly, and the reference. Compared as onnx does: relative 1e-3, absolute 1e-7, integers
// equal. Exit status: 0 nothing failed, 1 something did, 77 (with a line "skipped: ...") the folder is not there.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/bounds/engines/typed_evaluate.hpp"
#include "boundlight/bounds/ops/op.hpp"
#include "boundlight/models/onnx.hpp"
#include "onnx_cases.hpp"

namespace {

using namespace boundlight;
using conformance::Case;
using conformance::DataSet;

// What the project promises: none of these may be refused for a reason of ours.
const std::set<std::string> kListed = {
    "Gemm", "MatMul", "Conv", "ConvTranspose", "BatchNormalization", "LayerNormalization", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
    "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "Clip", "Sigmoid", "Tanh", "Softplus", "Softsign", "Gelu", "Erf", "Exp",
    "Log", "Sqrt", "Pow", "Abs", "Neg", "Sign", "Reciprocal", "Floor", "Ceil", "Round", "Sin", "Cos", "Add", "Sub", "Mul", "Div", "Min", "Max", "Sum", "Mean",
    "Softmax", "LogSoftmax", "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "Reshape", "Flatten", "Transpose", "Squeeze",
    "Unsqueeze", "Concat", "Split", "Slice", "Gather", "Pad", "Resize", "Upsample", "Expand", "Tile", "DepthToSpace", "SpaceToDepth", "Where", "Equal",
    "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor", "Not", "ArgMax", "Constant", "ConstantOfShape", "Shape", "Size", "Range", "Cast",
    "Identity", "Dropout"};

struct Tally {
  int passed = 0, engine = 0, bounded = 0;
  std::vector<std::string> near;                          // reference outside of the bounds by less than the tolerance
  std::vector<std::string> failed;                        // "name: reason"
  std::map<std::string, std::vector<std::string>> unsupported, refused;  // reason -> names; refused: by the engine only
  std::map<std::string, int> bound_inputs;                // how many cases needed which inputs fixed
};

bool same_type(const Tensor& a, const Tensor& b) { return a.type() == b.type() && a.shape() == b.shape(); }

// As numpy.testing.assert_allclose: NaN equals NaN, infinities equal their own. bfloat16: one unit in the last place, since
// the reference data were made by cutting off bits, not by rounding.
bool close(double got, double want, DataType type = DataType::float32) {
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want);
  if (std::isinf(got) || std::isinf(want)) return got == want;
  return std::fabs(got - want) <= 1e-7 + (type == DataType::bfloat16 ? 0x1p-7 : 1e-3) * std::fabs(want);
}

// The first difference, or nothing.
std::optional<std::string> differs(const Tensor& got, const Tensor& want) {
  if (!same_type(got, want))
    return "is " + std::string(name_of(got.type())) + " " + to_string(got.shape()) + ", the reference " + std::string(name_of(want.type())) + " " + to_string(want.shape());
  if (!is_floating(want.type())) return got.bytes() == want.bytes() ? std::nullopt : std::optional<std::string>("integers differ");
  const auto a = got.to_doubles(), b = want.to_doubles();
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!close(a[i], b[i], want.type())) return "element " + std::to_string(i) + " is " + std::to_string(a[i]) + ", the reference " + std::to_string(b[i]);
  return std::nullopt;
}

// Shapes are fixed when a network is prepared, so inputs that decide them have to be. Tried in this order.
enum class Fix { none, integers, all_but_first, all };
constexpr std::pair<Fix, const char*> kFixes[] = {{Fix::none, "no input fixed"}, {Fix::integers, "integer and boolean inputs fixed"}, {Fix::all_but_first, "all inputs but the first fixed"}, {Fix::all, "all inputs fixed"}};

struct Prepared {
  std::shared_ptr<const Network> network;
  std::vector<Tensor> inputs;  // of the network
  std::string fix;
};

// Every way in which the case can be prepared, least fixed first.
Result<std::vector<Prepared>> prepare_all(const Graph& graph, const DataSet& set) {
  std::optional<Error> last;
  std::vector<Prepared> found;
  for (const auto& [fix, text] : kFixes) {
    NetworkOptions options;
    std::vector<Tensor> kept;
    for (std::size_t k = 0; k < graph.inputs.size() && k < set.inputs.size(); ++k) {
      const Value& v = graph.values[static_cast<std::size_t>(graph.inputs[k])];
      const bool fixed = fix == Fix::all || (fix == Fix::all_but_first && k > 0) || (fix == Fix::integers && !is_floating(set.inputs[k].type()));
      if (fixed) {
        options.fixed.emplace(v.name, set.inputs[k]);
        continue;
      }
      kept.push_back(set.inputs[k]);
      for (std::size_t a = 0; v.shape && a < v.shape->size(); ++a)
        if ((*v.shape)[a] < 0) options.free_dimensions.push_back(set.inputs[k].shape()[a]);
    }
    auto made = prepare(graph, options);
    if (made.ok()) found.push_back({made.value(), kept, text});
    else last = made.error();
  }
  if (found.empty()) return *last;
  return found;
}

class Runner {
 public:
  Runner(Tally& tally, bool talkative) : tally_(tally), talkative_(talkative) {}

  void run(const Case& c) {
    if (auto why = unsupported(c)) {
      if (why->rfind("unreadable", 0) == 0) tally_.failed.push_back(c.name + ": " + *why);
      else tally_.unsupported[*why].push_back(c.name);
      return;
    }
    const auto failure = problem(c);
    if (failure) tally_.failed.push_back(c.name + ": " + *failure);
    else ++tally_.passed;
    if (talkative_) std::printf("%s: %s\n", c.name.c_str(), failure ? failure->c_str() : "passed");
  }

 private:
  std::optional<std::string> unsupported(const Case& c) const {
    for (const auto& op : c.operators)
      if (!find_op(op)) return "operator " + op + (kListed.count(op) == 0 ? " is not in the list" : " is planned and not there yet");
    return c.out_of_reach;
  }

  std::optional<std::string> problem(const Case& c) {
    auto graph = load_onnx(c.model);
    if (!graph.ok()) return graph.error().text();
    for (const DataSet& set : c.sets) {
      auto ways = prepare_all(*graph, set);
      if (!ways.ok()) return ways.error().text();
      ++tally_.bound_inputs[(*ways)[0].fix];
      if (auto why = typed((*ways)[0], set)) return "typed values: " + *why;
      // An engine may want weights to be constants: it takes the first way that it can.
      std::string refusal;
      for (const Prepared& p : *ways) {
        std::string why;
        if (auto problem = engine(c, p, set, why)) return "engine, " + p.fix + ": " + *problem;
        if (refusal.empty()) refusal = why;
        if (why.empty()) {
          refusal.clear();
          break;
        }
      }
      if (!refusal.empty()) tally_.refused[refusal].push_back(c.name);
    }
    return std::nullopt;
  }

  std::optional<std::string> typed(const Prepared& p, const DataSet& set) const {
    auto got = evaluate_typed(*p.network, p.inputs, p.network->outputs);
    if (!got.ok()) return got.error().text();
    if (got->size() < set.outputs.size()) return "has too few outputs";
    for (std::size_t o = 0; o < set.outputs.size(); ++o)
      if (auto why = differs((*got)[o], set.outputs[o])) return "output " + std::to_string(o) + " " + *why;
    return std::nullopt;
  }

  // A problem, or in `refusal` why the engine does not compute this.
  std::optional<std::string> engine(const Case& c, const Prepared& p, const DataSet& set, std::string& refusal) {
    // Engines compute reals; a network that starts from integers or 16-bit floats is evaluated in its own types instead.
    bool dual = false;
    for (const Tensor& t : p.inputs) {
      if (t.type() != DataType::float32 && t.type() != DataType::float64 && t.type() != DataType::boolean) refusal = "an input of type " + std::string(name_of(t.type()));
      dual = dual || t.type() == DataType::float64;
    }
    if (refusal.empty() && needs_typed_values(*p.network)) refusal = "16-bit floats, large integers or integer arithmetic inside";
    if (!refusal.empty()) return std::nullopt;
    auto made = make_engine(p.network);
    if (!made.ok()) return made.error().text();
    std::vector<double> x;
    for (const Tensor& t : p.inputs) {
      const auto v = t.to_doubles();
      x.insert(x.end(), v.begin(), v.end());
    }
    auto values = (*made)->evaluate(x, 1, p.network->outputs, dual ? Precision::dual : Precision::single);
    if (!values.ok()) {
      refusal = values.error().message;
      return std::nullopt;
    }
    for (std::size_t o = 0; o < set.outputs.size(); ++o) {
      const auto want = set.outputs[o].to_doubles();
      if ((*values)[o].size() != want.size()) return "output " + std::to_string(o) + " has " + std::to_string((*values)[o].size()) + " values";
      for (std::size_t i = 0; i < want.size(); ++i)
        if (!close((*values)[o][i], want[i])) return "output " + std::to_string(o) + " element " + std::to_string(i) + " is " + std::to_string((*values)[o][i]) + ", the reference " + std::to_string(want[i]);
    }
    ++tally_.engine;
    return bounds(c, p, set, x, *values, dual);
  }

  // Every output inside of the interval of the point box; one call per output, whatever else the graph computes.
  std::optional<std::string> bounds(const Case& c, const Prepared& p, const DataSet& set, const std::vector<double>& x, const std::vector<std::vector<double>>& values, bool dual) {
    for (const double v : x)
      if (!std::isfinite(v)) return std::nullopt;  // no region around an infinite input
    Regions regions;
    regions.batch = 1;
    regions.lower = regions.upper = x;
    BoundOptions options;
    options.method = Method::interval;
    const bool covered = std::all_of(p.network->nodes.begin(), p.network->nodes.end(), [](const auto& n) {
      const OpInfo* op = find_op(n.node.op);
      return op && covers_deployment(*op);
    });
    options.semantics = covered ? Semantics::float32_any_order : Semantics::real;
    bool tight = true, any = false;
    for (std::size_t o = 0; o < set.outputs.size(); ++o) {
      const auto id = static_cast<std::size_t>(p.network->outputs[o]);
      if (x.empty() || p.network->values[id].constant || p.network->values[id].producer < 0) continue;  // nothing is computed
      auto copy = std::make_shared<Network>(*p.network);
      copy->outputs = {p.network->outputs[o]};
      auto made = make_engine(copy);
      if (!made.ok()) return made.error().text();
      auto boxes = (*made)->boxes(regions, options);
      if (!boxes.ok()) return boxes.error().text();
      any = true;
      const auto &lo = boxes->lower[id], &hi = boxes->upper[id];
      const auto want = set.outputs[o].to_doubles();
      if (lo.size() != want.size()) return "output " + std::to_string(o) + " has no bounds";
      for (std::size_t i = 0; i < want.size(); ++i) {
        const std::string where = "output " + std::to_string(o) + " element " + std::to_string(i) + ": [" + std::to_string(lo[i]) + ", " + std::to_string(hi[i]) + "] ";
        if (covered && !dual && std::isfinite(values[o][i]) && !(lo[i] <= values[o][i] && values[o][i] <= hi[i])) return where + "misses the engine's own " + std::to_string(values[o][i]);
        // The reference may be rounded in ways of its own: within the comparison's tolerance it must be inside.
        const double slack = std::isfinite(want[i]) ? 1e-7 + 1e-3 * std::fabs(want[i]) : 0.0;
        if (!std::isnan(want[i]) && !(lo[i] - slack <= want[i] && want[i] <= hi[i] + slack)) return where + "misses the reference " + std::to_string(want[i]);
        tight = tight && lo[i] <= want[i] && want[i] <= hi[i];
      }
    }
    if (any) ++tally_.bounded;
    if (any && !tight) tally_.near.push_back(c.name);
    return std::nullopt;
  }

  Tally& tally_;
  bool talkative_;
};

void print(const char* title, const std::map<std::string, std::vector<std::string>>& reasons, bool names) {
  std::vector<std::pair<std::string, std::vector<std::string>>> sorted(reasons.begin(), reasons.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second.size() > b.second.size(); });
  std::printf("%s\n", title);
  for (const auto& [why, cases] : sorted) {
    std::printf("  %4zu  %s", cases.size(), why.c_str());
    if (names || cases.size() == 1) for (const auto& name : cases) std::printf(" %s", name.c_str());
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const char* other = std::getenv("BOUNDLIGHT_ONNX_NODE_TESTS");
  if (other && !arguments.empty()) arguments[0] = other;
  if (arguments.empty() || !std::filesystem::is_directory(arguments[0])) {
    std::printf("skipped: the ONNX node tests are not there%s; ./test fetches them (onnx wheel)\n", arguments.empty() ? "" : (" (" + arguments[0] + ")").c_str());
    return 77;
  }
  Tally tally;
  int run = 0;
  for (const auto& folder : conformance::case_folders(arguments[0])) {
    const std::string name = folder.filename().string();
    const bool wanted = arguments.size() == 1 || std::any_of(arguments.begin() + 1, arguments.end(), [&](const std::string& part) { return name.find(part) != std::string::npos; });
    if (!wanted) continue;
    ++run;
    try {
      Runner(tally, arguments.size() > 1).run(conformance::read_case(folder));
    } catch (const std::exception& error) {
      tally.failed.push_back(name + ": " + error.what());
    }
  }
  std::size_t unsupported = 0;
  for (const auto& [why, cases] : tally.unsupported) unsupported += cases.size();
  print("Unsupported:", tally.unsupported, false);
  print("Typed values only, the engine is not asked or refuses:", tally.refused, false);
  std::printf("Inputs fixed to prepare:\n");
  for (const auto& [text, count] : tally.bound_inputs) std::printf("  %4d  %s\n", count, text.c_str());
  std::printf("Engine values equal the reference: %d. Bounds of the point box contain it: %d; of these within the tolerance only: %zu", tally.engine, tally.bounded, tally.near.size());
  for (const auto& name : tally.near) std::printf(" %s", name.c_str());
  std::printf("\n");
  if (!tally.failed.empty()) std::printf("Failed:\n");
  for (const auto& f : tally.failed) std::printf("  %s\n", f.c_str());
  std::printf("conformance: %d cases, %d passed, %zu failed, %zu unsupported\n", run, tally.passed, tally.failed.size(), unsupported);
  return tally.failed.empty() && tally.passed > 0 ? 0 : 1;
}
