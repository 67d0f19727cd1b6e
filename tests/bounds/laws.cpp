#include "support/laws.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <sstream>

#include "boundlight/bounds/engines/typed_evaluate.hpp"
#include "support/law_boxes.hpp"

namespace boundlight::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string number(double x) {
  std::ostringstream out;
  out.precision(17);
  out << x;
  return out.str();
}

std::string range(double lower, double upper) {
  std::ostringstream out;
  out << '[' << number(lower) << ", " << number(upper) << ']';
  return out.str();
}

// Exact values at a point (all outputs, one behind the other), each known up to `doubt`.
struct Truth {
  std::vector<Big> y;
  std::vector<Big> doubt;
  std::vector<double> in_float;  // a binary32 evaluation
};
// What an engine says of all outputs, per box; planes where it gives some: [rows][n] and [rows].
struct Bounds {
  std::vector<std::vector<double>> lower, upper, lower_plane, lower_offset, upper_plane, upper_offset;
};

class Laws : private LawBoxes {
 public:
  Laws(const LawRun& run, std::shared_ptr<const Network> network, std::unique_ptr<Engine> engine)
      : LawBoxes(run.c, run.seed, run.brief), run_(run), network_(std::move(network)), engine_(std::move(engine)), graph_(law_graph(run.c, run.seed, DataType::float32)) {
    for (const ValueId id : network_->outputs) size_ += static_cast<std::size_t>(network_->values[static_cast<std::size_t>(id)].size);
  }

  LawFindings check() {
    if (n_ != static_cast<std::size_t>(network_->input_size())) {
      found_.violations.push_back("law=prepare : the network has other inputs than the case");
      return std::move(found_);
    }
    const auto boxes = ordinary_boxes();
    for (const Box& b : boxes) {
      samples_.push_back(points_of(b));
      truths_.emplace_back();
      for (const Point& x : samples_.back()) truths_.back().push_back(truth_at(x));
    }
    for (const Precision precision : {Precision::dual, Precision::single}) {
      precision_ = precision;
      for (const Semantics semantics : {Semantics::real, Semantics::float32_any_order}) {
        if (semantics == Semantics::float32_any_order && (!run_.deployed || run_.brief)) continue;
        semantics_ = semantics;
        containment(boxes);
        degenerate_boxes();
      }
      semantics_ = Semantics::real;
      batches(boxes);
      if (run_.brief) continue;
      monotone(boxes);
      point_boxes();
    }
    differences();
    return std::move(found_);
  }

 private:
  void fail(const std::string& law, const std::string& box, const std::string& what) {
    if (++failures_[law] > 4) return;
    const std::string precision = precision_ == Precision::single ? "single" : "dual", semantics = semantics_ == Semantics::real ? "real" : "any-order";
    found_.violations.push_back("law=" + law + " box=" + box + " precision=" + precision + " semantics=" + semantics + ": " + what);
  }

  BigInputs big_inputs(const Point& x) const {
    BigInputs in;
    std::size_t from = 0;
    for (std::size_t k = 0; k < run_.c.inputs.size(); ++k) {
      in.emplace_back();
      const ValueId id = graph_.nodes[0].inputs[k];
      if (id == kAbsent) continue;
      const Value& v = graph_.values[static_cast<std::size_t>(id)];
      if (v.constant) {
        for (const double c : v.constant->to_doubles()) in.back().emplace_back(c);
      } else {
        for (std::int64_t i = 0; i < element_count(*v.shape).value_or(0); ++i) in.back().emplace_back(x[from++]);
      }
    }
    return in;
  }

  Truth truth_at(const Point& x) {
    Truth t;
    const bool grid = std::all_of(x.begin(), x.end(), [](double z) { return z * 64 == std::round(z * 64); });
    if (run_.c.oracle) {
      t.y = run_.c.oracle(big_inputs(x));
      for (const Big& y : t.y) t.doubt.push_back(Big((abs(y) + 1) * Big("1e-60")));
    } else if (run_.c.exact == Exact::always || (run_.c.exact == Exact::on_grid && grid)) {
      for (const double y : typed_values(x)) t.y.emplace_back(y), t.doubt.emplace_back(0);
    } else {
      const auto values = values_at({x}, Precision::dual);
      for (const double y : values[0]) t.y.emplace_back(y), t.doubt.emplace_back(1e-13 * (1 + std::fabs(y)) * static_cast<double>(n_ + 8));
    }
    if (t.y.size() != size_) {
      found_.violations.push_back("law=oracle : the formula has " + std::to_string(t.y.size()) + " values, the operator " + std::to_string(size_));
      t.y.resize(size_), t.doubt.resize(size_);
    }
    if (run_.deployed) t.in_float = values_at({x}, Precision::single)[0];
    return t;
  }

  std::vector<double> typed_values(const Point& x) {
    std::vector<Tensor> inputs;
    auto from = x.begin();
    for (const ValueId id : network_->inputs) {
      const NetworkValue& v = network_->values[static_cast<std::size_t>(id)];
      inputs.push_back(Tensor::from_doubles(v.type, v.shape, {from, from + v.size}));
      from += v.size;
    }
    std::vector<double> values;
    const auto result = evaluate_typed(*network_, inputs, network_->outputs);
    if (!result.ok()) found_.violations.push_back("law=evaluate : " + result.error().text());
    else
      for (const Tensor& t : *result)
        for (const double y : t.to_doubles()) values.push_back(y);
    return values;
  }

  // Forward values of all outputs, per sample.
  std::vector<std::vector<double>> values_at(const std::vector<Point>& samples, Precision precision) { return values_of(*engine_, samples, precision); }
  std::vector<std::vector<double>> values_of(Engine& engine, const std::vector<Point>& samples, Precision precision) {
    std::vector<double> flat;
    for (const auto& s : samples) flat.insert(flat.end(), s.begin(), s.end());
    auto result = engine.evaluate(flat, static_cast<std::int64_t>(samples.size()), engine.network().outputs, precision);
    std::vector<std::vector<double>> values(samples.size());
    if (!result.ok()) {
      found_.violations.push_back("law=evaluate : " + result.error().text());
      for (auto& v : values) v.assign(size_, std::nan(""));
      return values;
    }
    for (const auto& output : *result) {
      const std::size_t width = output.size() / samples.size();
      for (std::size_t s = 0; s < samples.size(); ++s)
        values[s].insert(values[s].end(), output.begin() + static_cast<std::ptrdiff_t>(s * width), output.begin() + static_cast<std::ptrdiff_t>((s + 1) * width));
    }
    return values;
  }

  Bounds bounds_of(const std::vector<Box>& boxes, Method method, bool planes = false) {
    Bounds all;
    for (auto* v : {&all.lower, &all.upper, &all.lower_plane, &all.lower_offset, &all.upper_plane, &all.upper_offset}) v->resize(boxes.size());
    Regions regions;
    regions.batch = static_cast<std::int64_t>(boxes.size());
    for (const Box& b : boxes) {
      regions.lower.insert(regions.lower.end(), b.lower.begin(), b.lower.end());
      regions.upper.insert(regions.upper.end(), b.upper.begin(), b.upper.end());
    }
    for (const ValueId id : network_->outputs) {
      const auto rows = static_cast<std::size_t>(network_->values[static_cast<std::size_t>(id)].size);
      Forms forms;
      forms.value = id;
      forms.rows = static_cast<std::int64_t>(rows);
      forms.coefficient.assign(rows * rows, 0.0);
      for (std::size_t i = 0; i < rows; ++i) forms.coefficient[i * rows + i] = 1;
      BoundOptions options;
      options.method = method;
      options.precision = precision_;
      options.semantics = semantics_;
      options.planes = planes;
      auto result = engine_->bound(regions, forms, options);
      if (!result.ok()) {
        found_.violations.push_back("law=bound : " + result.error().text());
        for (std::size_t b = 0; b < boxes.size(); ++b) all.lower[b].resize(size_, -kInfinity), all.upper[b].resize(size_, kInfinity);
        return all;
      }
      const auto slice = [&](const std::vector<double>& from, std::size_t width, std::vector<std::vector<double>>& to) {
        for (std::size_t b = 0; b < boxes.size() && !from.empty(); ++b)
          to[b].insert(to[b].end(), from.begin() + static_cast<std::ptrdiff_t>(b * width), from.begin() + static_cast<std::ptrdiff_t>((b + 1) * width));
      };
      slice(result->lower, rows, all.lower);
      slice(result->upper, rows, all.upper);
      slice(result->lower_plane, rows * n_, all.lower_plane);
      slice(result->upper_plane, rows * n_, all.upper_plane);
      slice(result->lower_offset, rows, all.lower_offset);
      slice(result->upper_offset, rows, all.upper_offset);
    }
    return all;
  }

  void containment(const std::vector<Box>& boxes) {
    const Bounds interval = bounds_of(boxes, Method::interval), forward = bounds_of(boxes, Method::forward), rows = bounds_of(boxes, Method::crown, true);
    const std::pair<const char*, const Bounds*> methods[] = {{"interval", &interval}, {"forward", &forward}, {"rows", &rows}};
    for (std::size_t b = 0; b < boxes.size(); ++b) {
      for (std::size_t s = 0; s < samples_[b].size(); ++s) {
        const Truth& t = truths_[b][s];
        for (std::size_t r = 0; r < size_; ++r) {
          for (const auto& [law, m] : methods) {
            ++found_.checks;
            const double lo = m->lower[b][r], hi = m->upper[b][r];
            const auto place = [&] { return "output " + std::to_string(r) + " of point " + std::to_string(s) + ", bounds [" + number(lo) + ", " + number(hi) + "]"; };
            if (!(Big(lo) <= t.y[r] + t.doubt[r] && Big(hi) >= t.y[r] - t.doubt[r])) fail(law, boxes[b].kind, place() + " miss the value " + t.y[r].str(20));
            if (semantics_ == Semantics::float32_any_order && !(lo <= t.in_float[r] && t.in_float[r] <= hi))
              fail(law, boxes[b].kind, place() + " miss the binary32 value " + number(t.in_float[r]));
          }
          if (!rows.lower_plane[b].empty()) check_plane(rows, boxes[b], b, r, samples_[b][s], t);
        }
      }
      if (!rows.lower_plane[b].empty()) compare_widths(rows, interval, boxes[b], b);
    }
  }

  // In real semantics planes bound the function itself; coefficients are taken as the numbers they are.
  void check_plane(const Bounds& p, const Box& box, std::size_t b, std::size_t r, const Point& x, const Truth& t) {
    const double low_offset = p.lower_offset[b][r], high_offset = p.upper_offset[b][r];
    Big low = 0, high = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      low += Big(p.lower_plane[b][r * n_ + i]) * Big(x[i]);
      high += Big(p.upper_plane[b][r * n_ + i]) * Big(x[i]);
    }
    ++found_.checks;
    if (std::isfinite(low_offset) && !(low + Big(low_offset) <= t.y[r] + t.doubt[r]))
      fail("planes", box.kind, "lower plane of output " + std::to_string(r) + " above the value by " + Big(low + Big(low_offset) - t.y[r]).str(5));
    if (std::isfinite(high_offset) && !(high + Big(high_offset) >= t.y[r] - t.doubt[r]))
      fail("planes", box.kind, "upper plane of output " + std::to_string(r) + " below the value by " + Big(t.y[r] - high - Big(high_offset)).str(5));
  }

  void compare_widths(const Bounds& rows, const Bounds& interval, const Box& box, std::size_t b) {
    found_.planes = true;
    for (std::size_t r = 0; r < size_; ++r) {
      double apart = rows.upper_offset[b][r] - rows.lower_offset[b][r];
      for (std::size_t i = 0; i < n_; ++i) apart += (rows.upper_plane[b][r * n_ + i] - rows.lower_plane[b][r * n_ + i]) * (box.lower[i] + box.upper[i]) / 2;
      found_.tighter = found_.tighter || apart < 0.95 * (interval.upper[b][r] - interval.lower[b][r]) - 1e-6;
    }
  }

  void monotone(const std::vector<Box>& boxes) {
    std::vector<Box> inner = boxes;
    for (Box& b : inner)
      for (std::size_t i = 0; i < n_; ++i) {
        const double lo = b.lower[i], hi = b.upper[i];
        if (elements_[i].truth) {
          if (random_() % 2 == 0) b.upper[i] = lo;
          continue;
        }
        b.lower[i] = std::clamp(as_float(lo + (hi - lo) * real(0, 0.5)), lo, hi);
        b.upper[i] = std::clamp(as_float(hi - (hi - lo) * real(0, 0.5)), b.lower[i], hi);
      }
    const Bounds outer = bounds_of(boxes, Method::interval), nested = bounds_of(inner, Method::interval);
    const double unit = precision_ == Precision::single ? 1e-5 : 1e-13;
    for (std::size_t b = 0; b < boxes.size(); ++b)
      for (std::size_t r = 0; r < size_; ++r) {
        ++found_.checks;
        const double slack = unit * (1 + std::fabs(nested.lower[b][r]) + std::fabs(nested.upper[b][r])) * static_cast<double>(n_ + 1);
        if (!(nested.lower[b][r] >= outer.lower[b][r] - slack) || !(nested.upper[b][r] <= outer.upper[b][r] + slack))
          fail("monotone", boxes[b].kind, "a smaller box gives [" + number(nested.lower[b][r]) + ", " + number(nested.upper[b][r]) + "], the larger one [" + number(outer.lower[b][r]) + ", " + number(outer.upper[b][r]) + "]");
      }
  }

  // A point's bounds hold its value and are wide by rounding only.
  void point_boxes() {
    std::vector<Box> boxes;
    for (int k = 0; k < 4; ++k) boxes.push_back(box_of("point", [&](const Element& e) { const double c = real(e.low, e.high); return std::pair(c, c); }));
    const double unit = precision_ == Precision::single ? 1e-6 : 1e-14;
    for (const Method method : {Method::interval, Method::forward, Method::crown}) {
      const Bounds m = bounds_of(boxes, method);
      for (std::size_t b = 0; b < boxes.size(); ++b) {
        const Truth t = truth_at(boxes[b].lower);
        for (std::size_t r = 0; r < size_; ++r) {
          const double lo = m.lower[b][r], hi = m.upper[b][r], size = std::fabs(static_cast<double>(t.y[r]));
          ++found_.checks;
          if (!(Big(lo) <= t.y[r] + t.doubt[r] && Big(hi) >= t.y[r] - t.doubt[r])) fail("point", boxes[b].kind, "value " + t.y[r].str(20) + " outside of [" + number(lo) + ", " + number(hi) + "]");
          if (run_.c.continuous && !(hi - lo <= unit * (20 + 10 * size) * static_cast<double>(4 * n_ + 16)))
            fail("point", boxes[b].kind, "a point's bounds [" + number(lo) + ", " + number(hi) + "] are wide");
        }
      }
    }
  }

  // A region's bounds do not depend on which others are asked beside it (up to the blocking of sums).
  void batches(const std::vector<Box>& boxes) {
    const double unit = precision_ == Precision::single ? 1e-5 : 1e-13;
    for (const Method method : {Method::interval, Method::forward, Method::crown}) {
      const Bounds together = bounds_of(boxes, method);
      for (std::size_t b = 0; b < boxes.size(); b += 4) {
        const Bounds alone = bounds_of({boxes[b]}, method);
        for (std::size_t r = 0; r < size_; ++r) {
          ++found_.checks;
          const auto same = [&](double x, double y) { return x == y || std::fabs(x - y) <= unit * (1 + std::fabs(y)) * static_cast<double>(n_ + 1); };
          if (!same(together.lower[b][r], alone.lower[0][r]) || !same(together.upper[b][r], alone.upper[0][r]))
            fail("batch", boxes[b].kind, range(together.lower[b][r], together.upper[b][r]) + " among others, " + range(alone.lower[0][r], alone.upper[0][r]) + " alone");
        }
      }
    }
  }

  // NaN, infinite, empty, huge and tiny boxes: bounds are never NaN or the wrong way round, and hold the formula's values where
  // it has some.
  void degenerate_boxes() {
    const double nan = std::nan("");
    const auto all = [&](const char* kind, double lo, double hi) { return Box{kind, Point(n_, lo), Point(n_, hi)}; };
    const auto one = [&](const char* kind, double lo, double hi) {
      Box b = box_of(kind, [&](const Element& e) { const double c = real(e.low, e.high); return std::pair(c, c); });
      b.lower[0] = lo, b.upper[0] = hi;
      return b;
    };
    const std::vector<Box> boxes = {all("NaN", nan, nan), one("one NaN", nan, nan), one("NaN below", nan, 1), all("infinite", -kInfinity, kInfinity), one("one infinite", -kInfinity, kInfinity),
                                    one("half infinite", 0.5, kInfinity), all("at infinity", kInfinity, kInfinity), all("empty", 1, -1), one("one empty", 1, -1),
                                    all("1e300", -1e300, 1e300), all("point 1e300", 1e300, 1e300), all("3e38", -3e38, 3e38), all("near 3e38", 3e38, 3.4e38), all("1e20", -1e20, 1e20),
                                    all("largest", -1.7e308, 1.7e308), all("tiny", 1e-300, 1e-290)};
    for (const Method method : {Method::interval, Method::forward, Method::crown}) {
      const Bounds m = bounds_of(boxes, method);
      for (std::size_t b = 0; b < boxes.size(); ++b) {
        const bool empty = boxes[b].kind.find("empty") != std::string::npos;
        for (std::size_t r = 0; r < size_; ++r) {
          ++found_.checks;
          const double lo = m.lower[b][r], hi = m.upper[b][r];
          if (lo != lo || hi != hi) fail("degenerate", boxes[b].kind, "NaN among the bounds of output " + std::to_string(r));
          else if (!empty && !(lo <= hi)) fail("degenerate", boxes[b].kind, range(lo, hi) + " of output " + std::to_string(r) + " is the wrong way round");
        }
        if (!empty) hold_values(boxes[b], m, b);
      }
    }
  }
  // The formula at the ends and the middle of a finite box; values beyond 1e600 are left to the NaN check.
  void hold_values(const Box& box, const Bounds& m, std::size_t b) {
    if (!run_.c.oracle) return;
    for (const double share : {0.0, 0.5, 1.0}) {
      Point x;
      for (std::size_t i = 0; i < n_; ++i) {
        const double at = share == 0 ? box.lower[i] : share == 1 ? box.upper[i] : box.lower[i] / 2 + box.upper[i] / 2;
        if (!std::isfinite(at) || !(at >= elements_[i].low - 1e39) || (elements_[i].low >= 0 && at <= 0)) return;  // not in the domain
        x.push_back(at);
      }
      const auto y = run_.c.oracle(big_inputs(x));
      for (std::size_t r = 0; r < size_; ++r) {
        if (isnan(y[r]) || isinf(y[r])) continue;
        ++found_.checks;
        const Big doubt = (abs(y[r]) + 1) * Big("1e-40") + (abs(Big(x[0])) + 1) * Big("1e-60");
        if (!(Big(m.lower[b][r]) <= y[r] + doubt && Big(m.upper[b][r]) >= y[r] - doubt))
          fail("degenerate", box.kind, "value " + y[r].str(20) + " outside of [" + number(m.lower[b][r]) + ", " + number(m.upper[b][r]) + "]");
      }
    }
  }

  // Gradients of sum_r w_r y_r in every input and every weight, against central differences in double.
  void differences() {
    auto network = prepare(law_graph(run_.c, run_.seed, DataType::float64));
    if (!network.ok()) return found_.violations.push_back("law=prepare : " + network.error().text());
    auto engine = run_.make(*network);
    if (!engine.ok()) return found_.violations.push_back("law=engine : " + engine.error().text());
    for (int round = 0; round < (run_.brief ? 1 : 3); ++round) {
      Point x;
      for (const Element& e : elements_) x.push_back(e.truth ? std::round(real(0, 1)) : e.low + (e.high - e.low) * real(0.01, 0.99));
      std::vector<double> w;
      for (std::size_t r = 0; r < size_; ++r) w.push_back(real(-1, 1));
      input_differences(**engine, x, w);
      if (run_.weights && !run_.brief) weight_differences(**engine, x, w);
    }
  }

  static double weighted(const std::vector<double>& w, const std::vector<double>& y) {
    double sum = 0;
    for (std::size_t r = 0; r < w.size(); ++r) sum += w[r] * y[r];
    return sum;
  }
  // The gradient over all outputs, in the inputs or in the value `wrt`.
  std::vector<double> gradient_of(Engine& engine, const Point& x, const std::vector<double>& w, ValueId wrt) {
    std::vector<double> total;
    auto from = w.begin();
    for (const ValueId id : engine.network().outputs) {
      const auto width = engine.network().values[static_cast<std::size_t>(id)].size;
      auto g = engine.gradient(x, 1, id, std::vector<double>(from, from + width), Precision::dual, wrt);
      from += width;
      if (!g.ok()) {
        found_.violations.push_back("law=gradient : " + g.error().text());
        return {};
      }
      total.resize(g->inputs.size(), 0.0);
      for (std::size_t i = 0; i < total.size(); ++i) total[i] += g->inputs[i];
    }
    return total;
  }
  void compare_slope(const std::string& law, const std::string& where, double got, double ahead, double at, double behind, double size) {
    const double central = (ahead - behind) / (2 * kStep), kink = std::fabs(ahead - 2 * at + behind) / kStep;
    if (kink > 1e-3 * (1 + std::fabs(central))) return;  // at a kink
    ++found_.checks;
    ++(law == "weights" ? found_.weights : found_.differences);
    if (!(std::fabs(central - got) <= 2e-6 * (1 + std::fabs(central) + size) + kink)) fail(law, where, "gradient " + number(got) + ", central difference " + number(central));
  }
  void input_differences(Engine& engine, const Point& x, const std::vector<double>& w) {
    const auto g = gradient_of(engine, x, w, kAbsent);
    if (g.size() != n_) return;
    std::vector<Point> points{x};
    for (std::size_t i = 0; i < n_; ++i)
      for (const double h : {kStep, -kStep}) {
        points.push_back(x);
        points.back()[i] += h;
      }
    const auto y = values_of(engine, points, Precision::dual);
    const double at = weighted(w, y[0]);
    for (std::size_t i = 0; i < n_; ++i)
      if (!elements_[i].truth) compare_slope("difference", numbered("x", i), g[i], weighted(w, y[2 * i + 1]), at, weighted(w, y[2 * i + 2]), std::fabs(at));
  }
  void weight_differences(Engine& engine, const Point& x, const std::vector<double>& w) {
    const double at = weighted(w, values_of(engine, {x}, Precision::dual)[0]);
    for (std::size_t k = 0; k < run_.c.inputs.size(); ++k) {
      const LawInput& in = run_.c.inputs[k];
      const auto id = engine.network().find(numbered("x", k));
      if (!in.constant || in.absent || in.type != DataType::float32 || !id) continue;
      const auto g = gradient_of(engine, x, w, *id);
      const auto count = static_cast<std::size_t>(element_count(in.shape).value_or(0));
      if (g.size() != count) return fail("weights", numbered("x", k), "the gradient has " + std::to_string(g.size()) + " numbers for " + std::to_string(count));
      for (std::size_t i = 0; i < std::min<std::size_t>(count, 9); ++i) {
        double moved[2] = {at, at};
        for (int side = 0; side < 2; ++side) {
          auto network = prepare(law_graph(run_.c, run_.seed, DataType::float64, {k, i, side == 0 ? kStep : -kStep}));
          auto other = network.ok() ? run_.make(*network) : Result<std::unique_ptr<Engine>>(network.error());
          if (!other.ok()) return found_.violations.push_back("law=weights : " + other.error().text());
          moved[side] = weighted(w, values_of(**other, {x}, Precision::dual)[0]);
        }
        compare_slope("weights", numbered("x", k) + numbered(" element ", i), g[i], moved[0], at, moved[1], std::fabs(at));
      }
    }
  }

  static constexpr double kStep = 1e-5;
  const LawRun& run_;
  std::shared_ptr<const Network> network_;
  std::unique_ptr<Engine> engine_;
  Graph graph_;
  std::size_t size_ = 0;
  std::vector<std::vector<Point>> samples_;
  std::vector<std::vector<Truth>> truths_;
  Precision precision_ = Precision::dual;
  Semantics semantics_ = Semantics::real;
  std::map<std::string, int> failures_;  // by law; the first few are kept
  LawFindings found_;
};

}  // namespace

LawFindings check_laws(const LawRun& run) {
  LawFindings found;
  const auto network = prepare(law_graph(run.c, run.seed, DataType::float32));
  if (!network.ok()) {
    found.violations.push_back("law=prepare : " + network.error().text());
    return found;
  }
  auto engine = run.make(*network);
  if (!engine.ok()) {
    found.violations.push_back("law=engine : " + engine.error().text());
    return found;
  }
  return Laws(run, *network, std::move(*engine)).check();
}

}  // namespace boundlight::test
