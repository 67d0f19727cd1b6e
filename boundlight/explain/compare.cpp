#include "boundlight/explain/compare.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "boundlight/explain/statistics.hpp"

namespace boundlight {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<double> magnitude(std::vector<double> v) {
  for (auto& x : v) x = std::fabs(x);
  return v;
}

// Rank correlation with the certified map; NaN and infinite entries leave nothing to rank by.
double agreement(const std::vector<double>& map, const std::vector<double>& certified) {
  return std::all_of(map.begin(), map.end(), [](double x) { return std::isfinite(x); }) ? rank_correlation(map, certified) : 0;
}

Outside outside(const std::vector<double>& map, const ImageComparison& image) {
  Outside o;
  for (std::size_t u = 0; u < map.size(); ++u) {
    const double distance = map[u] < image.lower[u] ? image.lower[u] - map[u] : map[u] > image.upper[u] ? map[u] - image.upper[u] : 0;
    if (!(distance > 0)) continue;
    ++(map[u] < image.lower[u] ? o.below : o.above);
    o.sum += distance;
    o.largest = std::max(o.largest, distance);
  }
  return o;
}

bool planted_on_top(const std::vector<double>& map, const CompareImage& image, std::int64_t top) {
  const auto order = by_importance(map);
  for (std::size_t k = 0; k < std::min(order.size(), static_cast<std::size_t>(top)); ++k)
    if (image.planted[order[k]] != 0) return true;
  return false;
}

class Run {
 public:
  Run(Engine& engine, const std::vector<CompareImage>& images, const CompareOptions& o) : engine_(engine), images_(images), o_(o) {
    result_.methods = o.methods;
    result_.top = o.top;
    result_.asked = static_cast<std::int64_t>(images.size());
    for (const Metric* m : o.metrics) {
      if (!m->by_baseline) result_.columns.push_back({m, m->name, Baseline::zero});
      else
        for (const Baseline b : o.baselines) result_.columns.push_back({m, std::string(m->name) + " (" + name_of(b) + ")", b});
    }
  }

  Result<Comparison> all() {
    for (std::size_t i = 0; i < images_.size(); ++i) {
      if (o_.stop.stop_requested()) {
        result_.complete = false;
        break;
      }
      auto one = image(i);
      if (!one.ok() && one.error().kind == ErrorKind::cancelled) {
        result_.complete = false;
        break;
      }
      if (!one.ok()) return Error{one.error().kind, images_[i].name + ": " + one.error().place, one.error().message};
      result_.images.push_back(std::move(one.value()));
    }
    if (result_.images.empty()) return Error{ErrorKind::cancelled, "compare", "stopped before the first image was done"};
    return std::move(result_);
  }

 private:
  void report(std::size_t i, std::size_t step, const std::string& what) const {
    const std::size_t steps = o_.methods.size() + result_.columns.size() + 1;
    if (o_.progress)
      o_.progress(images_[i].name + " " + what, static_cast<double>(i) + static_cast<double>(step) / static_cast<double>(steps), static_cast<double>(images_.size()));
  }

  Result<ImageComparison> image(std::size_t i) {
    const CompareImage& given = images_[i];
    ImageComparison out;
    out.name = given.name;
    report(i, 0, "eva");
    EvaOptions eva_options = o_.eva;
    eva_options.bounds.stop = o_.stop;
    const auto start = Clock::now();
    BL_TRY(map, eva(engine_, given.question, eva_options));
    const double eva_seconds = since(start);
    if (!map.complete && o_.stop.stop_requested()) return Error{ErrorKind::cancelled, "compare", "stopped"};
    out.label = map.label;
    out.verified_base = map.verified_base;
    out.attained_base = map.attained_base;
    out.estimate = map.estimate;
    out.lower = map.lower;
    out.upper = map.upper;
    out.vacuous = map.vacuous;

    SamplingQuestion asked;
    asked.region = &given.question;
    asked.label = map.label;
    asked.height = given.frame.height;
    asked.width = given.frame.width;
    asked.pixel = given.frame.pixel;
    asked.stop = o_.stop;
    SamplingOptions sampling = o_.sampling;
    sampling.seed += i;
    asked.baseline = baseline_values(o_.removed, given.frame, given.question.x, sampling.seed);
    for (std::size_t m = 0; m < o_.methods.size(); ++m) {
      report(i, 1 + m, o_.methods[m]->name);
      BL_TRY(one, method(*o_.methods[m], asked, sampling, map, eva_seconds, out));
      if (one.reason.empty() && !given.planted.empty()) {
        one.found = planted_on_top(one.map, given, o_.top);
        one.found_size = planted_on_top(magnitude(one.map), given, o_.top);
      }
      out.methods.push_back(std::move(one));
    }
    BL_CHECK(measure(i, out));
    return out;
  }

  Result<MethodOnImage> method(const CompareMethod& m, const SamplingQuestion& asked, const SamplingOptions& options, const EvaMap& map, double eva_seconds, const ImageComparison& image) {
    MethodOnImage out;
    if (m.sampled) {
      const auto start = Clock::now();
      auto made = m.sampled->run(engine_, asked, options);
      out.seconds = since(start);
      if (!made.ok()) {
        if (made.error().kind != ErrorKind::unsupported && made.error().kind != ErrorKind::bad_input) return made.error();
        out.reason = made.error().message;
        return out;
      }
      out.map = std::move(made->cell);
      out.evaluations = made->evaluations;
      out.overlap = made->overlap;
    } else if (m.name == "random") {
      std::mt19937_64 random(options.seed);
      std::uniform_real_distribution<double> unit(0, 1);
      for (std::int64_t u = 0; u < map.cells; ++u) out.map.push_back(unit(random));
    } else {
      out.map = m.name == "eva" ? map.estimate : map.score;
      out.seconds = eva_seconds;
      out.evaluations = map.evaluations;
    }
    out.agreement = agreement(out.map, image.estimate);
    out.agreement_size = agreement(magnitude(out.map), image.estimate);
    if (m.drop) out.outside = outside(out.map, image);
    return out;
  }

  // All metrics of one image, for all of its maps together.
  Result<void> measure(std::size_t i, ImageComparison& image) {
    const CompareImage& given = images_[i];
    std::vector<std::vector<double>> maps;
    std::vector<MethodOnImage*> owner;
    for (auto& m : image.methods)
      if (m.reason.empty()) maps.push_back(m.map), owner.push_back(&m);
    if (maps.empty()) return {};
    MetricQuestion q;
    q.x = given.question.x;
    q.cell = given.question.cell;
    q.cells = given.question.cells;
    q.label = image.label;
    q.frame = given.frame;
    MetricOptions options = o_.metric;
    options.stop = o_.stop;
    options.seed += i;
    for (std::size_t c = 0; c < result_.columns.size(); ++c) {
      const MetricColumn& column = result_.columns[c];
      report(i, 1 + o_.methods.size() + c, column.name);
      // Not the methods' own random baseline: a map must not be measured by the very noise it was made from.
      if (column.metric->by_baseline) q.baseline = baseline_values(column.baseline, given.frame, given.question.x, options.seed + 0x9e3779b97f4a7c15U);
      BL_TRY(found, column.metric->run(engine_, q, maps, options));
      for (std::size_t m = 0; m < owner.size(); ++m) {
        owner[m]->scores.push_back(found[m].score);
        owner[m]->curves.push_back(std::move(found[m].curve));
        owner[m]->missing.push_back(found[m].missing);
      }
    }
    return {};
  }

  Engine& engine_;
  const std::vector<CompareImage>& images_;
  const CompareOptions& o_;
  Comparison result_;
};

}  // namespace

const std::vector<CompareMethod>& compare_methods() {
  static const std::vector<CompareMethod> all = [] {
    std::vector<CompareMethod> m = {{"eva", "EVA", "Fel et al. 2023, the estimate inside its certified interval", false, nullptr},
                                    {"eva-verified", "EVA, verified score", "Fel et al. 2023", false, nullptr}};
    for (const auto& s : sampled_methods()) m.push_back({s.name, s.title, s.source, s.drop, &s});
    m.push_back({"random", "Random", "control: uniform numbers", false, nullptr});
    return m;
  }();
  return all;
}

Result<const CompareMethod*> find_compare_method(std::string_view name) {
  std::string known;
  for (const auto& m : compare_methods()) {
    if (name == m.name) return &m;
    known += (known.empty() ? "" : ", ") + m.name;
  }
  return Error{ErrorKind::bad_input, "method '" + std::string(name) + "'", "there is no such method; the known ones are " + known};
}

Result<Comparison> compare(Engine& engine, const std::vector<CompareImage>& images, const CompareOptions& options) {
  if (images.empty()) return Error{ErrorKind::bad_input, "compare", "there are no images"};
  if (options.methods.empty()) return Error{ErrorKind::bad_input, "compare", "no method was asked for"};
  return Run(engine, images, options).all();
}

MethodSummary summarise(const Comparison& c, std::size_t method) {
  MethodSummary s;
  std::vector<std::vector<double>> scores(c.columns.size());
  std::vector<double> agreement, size;
  s.missing.assign(c.columns.size(), 0);
  double cells = 0, distance = 0, outside_cells = 0;
  for (const auto& image : c.images) {
    const auto& m = image.methods[method];
    if (!m.reason.empty()) {
      s.reason = m.reason;
      continue;
    }
    ++s.images;
    s.seconds += m.seconds;
    s.evaluations += static_cast<double>(m.evaluations);
    agreement.push_back(m.agreement);
    size.push_back(m.agreement_size);
    for (std::size_t k = 0; k < c.columns.size(); ++k) {
      scores[k].push_back(m.scores[k]);
      s.missing[k] += m.missing[k];
    }
    cells += static_cast<double>(m.map.size());
    s.below += static_cast<double>(m.outside.below);
    s.above += static_cast<double>(m.outside.above);
    distance += m.outside.sum;
    s.largest_distance = std::max(s.largest_distance, m.outside.largest);
    s.blind += m.overlap && *m.overlap < image.attained_base;
    s.planted += m.found.has_value();
    s.found += m.found.value_or(false);
    s.found_size += m.found_size.value_or(false);
  }
  if (s.images == 0) return s;
  s.reason.clear();
  const auto n = static_cast<double>(s.images);
  s.seconds /= n;
  s.evaluations /= n;
  outside_cells = s.below + s.above;
  s.mean_distance = outside_cells > 0 ? distance / outside_cells : 0;
  s.below /= cells;
  s.above /= cells;
  const auto pair = [](const std::vector<double>& v) {
    const auto m = mean_interval(v);
    return std::pair(m.mean, m.half_width);
  };
  s.agreement = pair(agreement);
  s.agreement_size = pair(size);
  for (const auto& v : scores) s.scores.push_back(pair(v));
  return s;
}

std::optional<std::pair<double, double>> paired_difference(const Comparison& c, std::size_t column, std::size_t a, std::size_t b) {
  std::vector<double> differences;
  for (const auto& image : c.images)
    if (image.methods[a].reason.empty() && image.methods[b].reason.empty()) differences.push_back(image.methods[a].scores[column] - image.methods[b].scores[column]);
  if (differences.empty()) return std::nullopt;
  const auto m = mean_interval(differences);
  return std::pair(m.mean, m.half_width);
}

}  // namespace boundlight
