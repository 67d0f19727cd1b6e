#include "boundlight/solver/bab/root_boxes.hpp"

#include <algorithm>
#include <cmath>

#include "boundlight/bounds/engines/split_search.hpp"
#include "boundlight/solver/evidence/write.hpp"

namespace boundlight::bab {
namespace {

constexpr std::int64_t kMostSlopes = std::int64_t{1} << 22;        // rows times slopes below them
constexpr std::int64_t kMostCoefficients = std::int64_t{1} << 24;  // rows times the value's size

struct Rows {
  std::vector<std::int64_t> element;  // undecided
  SplitSearch search;                 // rows: + of every element, then - of every element
};

Result<void> search_rows(Engine& engine, const Group& group, const Activation& act, const BoundOptions& options, const ValueBoxes& known, Rows& rows) {
  Regions r;
  r.batch = 1;
  r.lower = group.lower;
  r.upper = group.upper;
  Forms f;
  f.value = act.in;
  f.rows = 2 * static_cast<std::int64_t>(rows.element.size());
  f.want_upper = false;
  f.coefficient.assign(static_cast<std::size_t>(f.rows * act.size), 0.0);
  for (std::size_t i = 0; i < rows.element.size(); ++i) {
    f.coefficient[i * static_cast<std::size_t>(act.size) + static_cast<std::size_t>(rows.element[i])] = 1;
    f.coefficient[(rows.element.size() + i) * static_cast<std::size_t>(act.size) + static_cast<std::size_t>(rows.element[i])] = -1;
  }
  rows.search.regions = &r;
  rows.search.forms = &f;
  rows.search.known = &known;
  rows.search.options = options;
  rows.search.options.precision = Precision::single;
  BL_CHECK(engine.search(rows.search));
  rows.search.regions = nullptr;
  rows.search.forms = nullptr;
  rows.search.known = nullptr;
  return {};
}

// All slopes of one row, in eight bits.
check::SlopeSet slopes_of(const Rows& rows, std::size_t line, const std::vector<Activation>& activations) {
  check::SlopeSet set;
  for (const Activation& a : activations) {
    const auto found = rows.search.slopes.find(a.out);
    if (found == rows.search.slopes.end()) continue;
    check::Slopes s;
    s.value = a.out_name;
    const auto size = static_cast<std::size_t>(a.size);
    for (std::size_t i = 0; i < size; ++i) s.numbers.push_back(check::quantised_slope(std::clamp<double>(found->second[line * size + i], 0.0, 1.0), 1));
    set.push_back(std::move(s));
  }
  return set;
}

// The step of one activation. The checker starts from intervals, so neurons that plain rows have decided are listed as well, without
// slopes of their own.
Result<void> add_step(Engine& engine, const Group& group, const Activation& act, const std::vector<Activation>& activations, const ValueBoxes& known, const Rows& rows,
                      check::BackwardStep& step) {
  Regions r;
  r.batch = 1;
  r.lower = group.lower;
  r.upper = group.upper;
  BoundOptions o;
  o.method = Method::interval;
  BL_TRY(interval, engine.boxes(r, o, &known));
  const auto &lower = interval.lower[static_cast<std::size_t>(act.in)], &upper = interval.upper[static_cast<std::size_t>(act.in)];
  std::size_t next = 0;
  for (std::int64_t i = 0; i < act.size; ++i) {
    const bool searched = next < rows.element.size() && rows.element[next] == i;
    if (!searched && !(lower[static_cast<std::size_t>(i)] <= 0 && upper[static_cast<std::size_t>(i)] >= 0)) continue;
    step.listed.push_back(static_cast<std::uint32_t>(i));
    step.each_lower.push_back(searched ? slopes_of(rows, next, activations) : check::SlopeSet{});
    step.each_upper.push_back(searched ? slopes_of(rows, rows.element.size() + next, activations) : check::SlopeSet{});
    if (searched) ++next;
  }
  return {};
}

}  // namespace

Result<void> refine_root(Engine& engine, const Group& group, const std::vector<Activation>& activations, const BoundOptions& options, ValueBoxes& boxes,
                         check::Bounds* section) {
  ValueBoxes known;  // of activations' inputs only; the rest follows
  known.batch = 1;
  known.lower.resize(boxes.lower.size());
  known.upper.resize(boxes.upper.size());
  std::int64_t below = 0;
  std::vector<ValueId> done;
  for (const Activation& act : activations) {
    const auto v = static_cast<std::size_t>(act.in);
    if (std::find(done.begin(), done.end(), act.in) != done.end()) continue;
    done.push_back(act.in);
    Rows rows;
    for (std::int64_t i = 0; i < act.size; ++i)
      if (boxes.lower[v][static_cast<std::size_t>(i)] < 0 && boxes.upper[v][static_cast<std::size_t>(i)] > 0) rows.element.push_back(i);
    const auto n = 2 * static_cast<std::int64_t>(rows.element.size());
    const bool few = n > 0 && below > 0 && n * below <= kMostSlopes && n * act.size <= kMostCoefficients && !options.stop.stop_requested();
    if (few) {
      BL_CHECK(search_rows(engine, group, act, options, known, rows));
      for (std::size_t i = 0; i < rows.element.size(); ++i) {
        double &lower = boxes.lower[v][static_cast<std::size_t>(rows.element[i])], &upper = boxes.upper[v][static_cast<std::size_t>(rows.element[i])];
        lower = std::max(lower, rows.search.lower[i]);
        upper = std::min(upper, -rows.search.lower[rows.element.size() + i]);
      }
    }
    if (section) {
      check::BackwardStep& step = section->steps.emplace_back();
      step.value = act.in_name;
      if (few) BL_CHECK(add_step(engine, group, act, activations, known, rows, step));
    }
    known.lower[v] = boxes.lower[v];
    known.upper[v] = boxes.upper[v];
    below += act.size;
  }
  return {};
}

}  // namespace boundlight::bab
