// Laws of elementwise operators on the kernels of the cpu back end, against 300-bit arithmetic; and deliberately wrong
// functors, which the same laws must catch.
#define BL_NS cpu
#define BL_DEVICE_HEADER "boundlight/device/cpu/device.hpp"
#include <catch2/catch.hpp>
#include <map>

#include "boundlight/bounds/ops/makers.hpp"
#include "support/unary_law.hpp"

namespace {

using namespace boundlight;
using namespace boundlight::test;

struct UnaryCase {
  std::string op;
  std::map<std::string, double> parameters;
  Oracle oracle;
  double low, high;           // domain of moderate values
  std::vector<double> kinks;  // where f or f' is not smooth, and inflection points
  bool planes = true;         // strictly tighter than the interval somewhere
  std::map<std::string, std::string> texts = {};
};

constexpr double kAll = 4e38;

std::vector<UnaryCase> unary_cases() {
  const Big one = 1;
  const auto sigmoid = [](const Big& x) { return Big(1 / (1 + exp(-x))); };
  std::vector<UnaryCase> cases = {
      {"Abs", {}, [](const Big& x) { return Big(abs(x)); }, -kAll, kAll, {0}},
      {"Neg", {}, [](const Big& x) { return Big(-x); }, -kAll, kAll, {0}},
      {"Sigmoid", {}, sigmoid, -kAll, kAll, {0}},
      {"Tanh", {}, [](const Big& x) { return Big(tanh(x)); }, -kAll, kAll, {0}},
  };
  for (const double alpha : {0.01, 0.5, 0.0, -0.25, 1.0, 3.0}) {
    const Big a(static_cast<double>(static_cast<float>(alpha)));
    cases.push_back({"LeakyRelu", {{"alpha", static_cast<double>(a)}}, [=](const Big& x) { return x < 0 ? Big(a * x) : x; }, -kAll, kAll, {0}});
  }
  for (const auto& [low, high] : std::vector<std::pair<double, double>>{{0, 6}, {-1, 1}, {0, std::numeric_limits<double>::infinity()}, {-0.3, 0.7}, {2, 1}}) {
    const Big a(low), b(high);
    cases.push_back({"Clip", {{"min", low}, {"max", high}}, [=](const Big& x) { const Big y = x < a ? a : x; return y > b ? b : y; }, -kAll, kAll, {low, std::min(high, 1e30), 0}, low < high});
  }
  const auto staircase = [&](const char* op, auto step) { cases.push_back({op, {}, step, -1e6, 1e6, {-1, -0.5, 0, 0.5, 1, 1.5}}); };
  staircase("Ceil", [](const Big& x) { return Big(ceil(x)); });
  staircase("Floor", [](const Big& x) { return Big(floor(x)); });
  staircase("Round", [](const Big& x) {
    const Big down = floor(x), rest = x - down;
    if (rest != Big(0.5)) return rest < Big(0.5) ? down : Big(down + 1);
    return floor(Big(down / 2)) * 2 == down ? down : Big(down + 1);  // half to even
  });
  cases.push_back({"Sign", {}, [](const Big& x) { return Big(x < 0 ? -1 : x > 0 ? 1 : 0); }, -kAll, kAll, {0}});
  cases.push_back({"Exp", {}, [](const Big& x) { return Big(exp(x)); }, -600, 600, {0}});
  cases.push_back({"Log", {}, [](const Big& x) { return Big(log(x)); }, 1e-30, kAll, {1}});
  cases.push_back({"Sqrt", {}, [](const Big& x) { return Big(sqrt(x)); }, 0, kAll, {1}});
  cases.push_back({"Reciprocal", {}, [](const Big& x) { return Big(1 / x); }, 1e-30, 1e30, {1}});
  cases.push_back({"Reciprocal", {}, [](const Big& x) { return Big(1 / x); }, -1e30, -1e-30, {-1}});
  cases.push_back({"Sin", {}, [](const Big& x) { return Big(sin(x)); }, -1e4, 1e4, {0, 1.5707963267948966, 3.141592653589793, -1.5707963267948966}});
  cases.push_back({"Cos", {}, [](const Big& x) { return Big(cos(x)); }, -1e4, 1e4, {0, 1.5707963267948966, 3.141592653589793, -3.141592653589793}});
  cases.push_back({"Erf", {}, [](const Big& x) { return erf_of(x); }, -30, 30, {0}});
  cases.push_back({"Softsign", {}, [](const Big& x) { return Big(x / (1 + abs(x))); }, -kAll, kAll, {0}});
  cases.push_back({"Softplus", {}, [](const Big& x) { return x > 300 ? Big(x + exp(-x)) : Big(log1p(exp(x))); }, -600, kAll, {0}});
  const auto cut = [](const Big& x) { return x < 0 ? Big(0) : x > 1 ? Big(1) : x; };
  cases.push_back({"HardSigmoid", {{"alpha", 0.25}, {"beta", 0.5}}, [=](const Big& x) { return cut(x / 4 + Big(0.5)); }, -kAll, kAll, {-2, 2, 0}});
  cases.push_back({"HardSwish", {}, [=](const Big& x) { return Big(x * cut((x + 3) / 6)); }, -1e30, 1e30, {-3, -1.5, 0, 3}});
  for (const double a : {1.0, 0.5, 2.0}) {
    const Big alpha(a);
    cases.push_back({"Elu", {{"alpha", a}}, [=](const Big& x) { return x < 0 ? Big(alpha * expm1(x)) : x; }, -1e4, kAll, {0}});
    cases.push_back({"Celu", {{"alpha", a}}, [=](const Big& x) { return x < 0 ? Big(alpha * expm1(x / alpha)) : x; }, -1e3, kAll, {0}});
  }
  const Big root = sqrt(Big(2)), pi = 4 * atan(one), inner = sqrt(2 / pi), cubic("0.044715");
  cases.push_back({"Gelu", {}, [=](const Big& x) { return Big(x / 2 * erfc_of(-x / root)); }, -30, 1e30, {0, -0.7517915, 1.4142135, -1.4142135}});
  cases.push_back({"Gelu", {}, [=](const Big& x) { return Big(x / (1 + exp(Big(-2 * inner * (x + cubic * x * x * x))))); }, -30, 1e6, {0, -0.7524614, 1.4185, -1.4185}, true,
                   {{"approximate", "tanh"}}});
  for (const double a : {1.0, 0.0, -0.5}) {
    const Big alpha(a);
    cases.push_back({"ThresholdedRelu", {{"alpha", a}}, [=](const Big& x) { return x > alpha ? x : Big(0); }, -kAll, kAll, {a, 0}});
  }
  cases.push_back({"Selu", {{"alpha", 1.5}, {"gamma", 1.25}}, [](const Big& x) { return Big(Big(1.25) * (x < 0 ? Big(Big(1.5) * expm1(x)) : x)); }, -1e4, 1e30, {0}});
  return cases;
}

// One node on a value of one element; parameters are float attributes.
struct OneNode {
  explicit OneNode(const UnaryCase& c) {
    node.op = c.op;
    node.version = 10;
    for (const auto& [name, value] : c.parameters) node.attributes[name] = value;
    for (const auto& [name, value] : c.texts) node.attributes[name] = value;
    in.shape = out.shape = {1};
    in.size = out.size = 1;
    view.node = &node;
    view.inputs = {&in};
    view.outputs = {&out};
  }
  Node node;
  NetworkValue in, out;
  NodeView view;
};

template <class T>
std::unique_ptr<cpu::Kernel<T>> kernel_of(cpu::Device& d, const OneNode& one) {
  const auto* makers = cpu::find_makers(one.node.op);
  REQUIRE(makers != nullptr);
  auto made = [&] {
    if constexpr (std::is_same_v<T, float>) return makers->make_float(d, one.view);
    else return makers->make_double(d, one.view);
  }();
  REQUIRE(made.ok());
  return std::move(made.value());
}

std::string name_of(const UnaryCase& c) {
  std::string name = "op=" + c.op;
  for (const auto& [key, value] : c.parameters) name += " " + key + "=" + std::to_string(value);
  return name;
}

template <class T>
void check_case(const UnaryCase& c, std::uint64_t seed) {
  cpu::Device d;
  const OneNode one(c);
  const auto kernel = kernel_of<T>(d, one);
  INFO(name_of(c) << " seed=" << seed << " device=cpu precision=" << (sizeof(T) == 4 ? "float" : "double"));
  int tighter = 0;
  for (const SlopeRule rule : {SlopeRule::adaptive, SlopeRule::parallel, SlopeRule::zero, SlopeRule::one}) {
    const auto found = check_unary(d, *kernel, c.oracle, unary_boxes(c.low, c.high, c.kinks, seed, rule == SlopeRule::adaptive ? 30 : 6), c.kinks, seed, rule);
    INFO("slopes " << static_cast<int>(rule) << ": " << found.first);
    CHECK(found.wrong == 0);
    CHECK(found.checks > 300);
    tighter += found.tighter;
  }
  if (c.planes) CHECK(tighter > 0);
}

}  // namespace

TEST_CASE("planes and intervals of elementwise operators hold against 300-bit arithmetic", "[long]") {
  for (const auto& c : unary_cases()) {
    check_case<double>(c, 17);
    check_case<float>(c, 18);
  }
}

TEST_CASE("elementwise operators lose bounds to infinity, never to NaN or to a wrong number") {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const std::vector<UnaryBox> boxes = {{nan, nan, "NaN"}, {nan, 1, "NaN"}, {-1, nan, "NaN"}, {1, -1, "empty"}, {-infinity, infinity, "infinite"},
                                       {-infinity, -1, "infinite"}, {-1, infinity, "infinite"}, {infinity, infinity, "infinite"}, {-infinity, -infinity, "infinite"},
                                       {-1e300, 1e300, "1e300"}, {1e300, 1e300, "1e300"}, {-1e300, -1e299, "1e300"}, {3e38, 3.4e38, "3e38"}, {-1.7e308, 1.7e308, "largest"}};
  for (const auto& c : unary_cases()) {
    cpu::Device d;
    const OneNode one(c);
    const auto run = [&](const auto& kernel, auto kind) {
      using T = decltype(kind);
      for (const Semantics semantics : {Semantics::real, Semantics::float32_any_order}) {
        const auto b = unary_bounds(d, *kernel, boxes, {semantics, true});
        for (std::size_t i = 0; i < boxes.size(); ++i) {
          INFO(name_of(c) << " box=" << boxes[i].kind << " [" << boxes[i].lo << ", " << boxes[i].hi << "] precision=" << sizeof(T) << ": [" << b.lo[i] << ", " << b.hi[i] << "]");
          CHECK(b.lo[i] <= b.hi[i]);
          for (const double z : {boxes[i].lo, boxes[i].hi, 0.5, -0.5}) {
            const double at = static_cast<double>(static_cast<T>(z));
            if (!std::isfinite(at) || !(at >= c.low && at <= c.high && at >= boxes[i].lo && at <= boxes[i].hi)) continue;
            const Big y = c.oracle(Big(at));
            CHECK(Big(b.lo[i]) <= y);
            CHECK(y <= Big(b.hi[i]));
            if (b.lower_slope.empty() || !std::isfinite(b.lower_offset[i]) || !std::isfinite(b.upper_offset[i])) continue;
            CHECK(Big(b.lower_slope[i]) * Big(at) + Big(b.lower_offset[i]) <= y);
            CHECK(Big(b.upper_slope[i]) * Big(at) + Big(b.upper_offset[i]) >= y);
          }
        }
      }
    };
    run(kernel_of<double>(d, one), 0.0);
    run(kernel_of<float>(d, one), 0.0F);
  }
}

namespace {

// A correct functor, and the same with one error each.
enum class Plant { none, stationary_point, one_ulp, other_slope, whole_convex, range_at_ends, swapped_sign };

template <Plant plant>
struct Bell : cpu::Curve<Bell<plant>> {  // z^2 / (1 + z^2) is no operator: bends at +-1/sqrt(3), least at 0
  using Piece = cpu::Piece;
  using Bend = cpu::Bend;
  template <class S> S value(S x) const { return x * x / (1 + x * x); }
  template <class S> S derivative(S x) const { return 2 * x / ((1 + x * x) * (1 + x * x)); }
  Interval at(double z) const { return square(Interval(z)) / (Interval(1) + square(Interval(z))); }
  Interval slope(double z, Bend) const {
    return Interval(2) * Interval(z) / square(Interval(1) + square(Interval(z)));
  }
  Interval range(Interval x) const {
    const Interval ends = hull(at(x.lo), at(x.hi));
    return plant != Plant::range_at_ends && x.lo < 0 && x.hi > 0 ? hull(ends, 0) : ends;
  }
  int pieces(Interval x, Piece* p) const {
    if (plant == Plant::stationary_point) return p[0] = {x.lo, x.hi, Bend::straight}, 1;
    if (plant == Plant::whole_convex) return p[0] = {x.lo, x.hi, Bend::convex}, 1;
    const double turns[] = {-0.57735026918962584, -0.57735026918962562, 0.57735026918962562, 0.57735026918962584};
    const Bend bends[] = {Bend::concave, Bend::unknown, Bend::convex, Bend::unknown, Bend::concave};
    double from = x.lo;
    int n = 0;
    for (int i = 0; i < 5; ++i) {
      const double to = i == 4 ? x.hi : std::min(turns[i], x.hi);
      if (to < from || (to == from && n > 0)) continue;
      p[n++] = {from, to, bends[i]};
      from = to;
    }
    return n;
  }
  double stationary(double s, Piece p) const {
    double a = p.from, b = p.to;
    for (int i = 0; i < 60; ++i) (derivative((a + b) / 2) < s) == (p.bend == Bend::convex) ? a = (a + b) / 2 : b = (a + b) / 2;
    return a;
  }
  double low(double s, Interval x) const {
    if (plant == Plant::other_slope) s = this->slopes(x, SlopeRule::adaptive).lower;
    return cpu::curve_low(*this, plant == Plant::swapped_sign ? -s : s, x);
  }
  double high(double s, Interval x) const {
    // The right intercept is up to a few ulps above the least one; this is the first double below the least one's enclosure.
    if (plant == Plant::one_ulp) return next_down(std::max((at(x.lo) - Interval(s) * Interval(x.lo)).lo, (at(x.hi) - Interval(s) * Interval(x.hi)).lo));
    return cpu::curve_high(*this, s, x);
  }
  double deployed_error(Interval, Interval) const { return 0; }
};

template <class T, Plant plant>
UnaryFindings findings() {
  cpu::Device d;
  const cpu::ElementwiseKernel<T, Bell<plant>> kernel(Bell<plant>{}, {1}, 1);
  const std::vector<double> kinks = {-0.57735026918962573, 0, 0.57735026918962573};
  return check_unary<T>(d, kernel, [](const Big& x) { return Big(x * x / (1 + x * x)); }, unary_boxes(-1e6, 1e6, kinks, 19, 30), kinks, 19);
}

}  // namespace

TEST_CASE("the laws of elementwise operators catch errors planted in a functor") {
  const auto good = findings<double, Plant::none>();
  INFO(good.first);
  CHECK(good.wrong == 0);
  CHECK(good.tighter > 0);
  CHECK(findings<float, Plant::none>().wrong == 0);
  CHECK(findings<double, Plant::stationary_point>().wrong > 0);
  CHECK(findings<double, Plant::one_ulp>().wrong > 0);
  CHECK(findings<float, Plant::other_slope>().wrong > 0);  // the intercept of the slope before it was rounded to float
  CHECK(findings<double, Plant::whole_convex>().wrong > 0);
  CHECK(findings<double, Plant::range_at_ends>().wrong > 0);
  CHECK(findings<double, Plant::swapped_sign>().wrong > 0);
}
