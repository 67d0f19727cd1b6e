// The condensed network is the network, and the search on it stays under exact minima over halves; its bound is the engine's for the
// same slopes and multipliers.
#include "boundlight/bounds/engines/split_search.hpp"
#include "boundlight/solver/bab/dual_ascent.hpp"
#include "boundlight/solver/bab/problem.hpp"
#include "nets.hpp"

using namespace boundlight;
using namespace boundlight::bab;
using namespace boundlight::test;

namespace {

struct Made {
  Case c;
  std::unique_ptr<Engine> engine;
  Problem problem;
  std::vector<Activation> acts;
  std::vector<FreeNeuron> free;
  ValueBoxes root;
  ReluTargets targets;
  Condensed condensed;
};

// The target: output 0 <= a bound. One input is fixed.
std::unique_ptr<Made> make(std::mt19937_64& random) {
  auto m = std::make_unique<Made>();
  LinearConstraint least;
  least.outputs = {{0, 1}};
  least.bound = -100;
  m->c = case_of(random_net(random, {3, 6, 5, 2}), {-1, 0.25, -0.5}, {0.75, 0.25, 1}, {{least}});
  m->engine = make_engine(m->c.network).value();
  m->problem = make_problem(*m->c.network, m->c.property).value();
  std::size_t first = 0;
  for (const char* layer : {"1", "2"}) {
    Activation a;
    a.in = m->c.network->find(std::string("y") + layer).value();
    a.out = m->c.network->find(std::string("z") + layer).value();
    a.size = m->c.network->values[static_cast<std::size_t>(a.in)].size;
    a.first = first;
    first += static_cast<std::size_t>(a.size);
    m->acts.push_back(a);
  }
  const Group& group = m->problem.groups[0];
  m->root = m->engine->boxes(box_of(group.lower, group.upper), {}).value();
  for (std::int32_t k = 0; k < 2; ++k)
    for (std::int32_t i = 0; i < m->acts[static_cast<std::size_t>(k)].size; ++i) {
      const auto v = static_cast<std::size_t>(m->acts[static_cast<std::size_t>(k)].in), e = static_cast<std::size_t>(i);
      if (m->root.lower[v][e] < 0 && m->root.upper[v][e] > 0) m->free.push_back({k, i});
    }
  m->targets = ReluTargets(group, {true}, {{1.0}}, 0.0);
  auto condensed = condense(*m->engine, group, m->acts, m->free, m->root, m->targets, {}).value();
  REQUIRE(condensed);
  m->condensed = std::move(*condensed);
  return m;
}

float line_at(const Condensed& c, std::size_t j, const std::vector<float>& columns) {
  double sum = static_cast<double>(c.constant[j]);
  for (std::int32_t e = c.rows.start[j]; e < c.rows.start[j + 1]; ++e)
    sum += static_cast<double>(c.rows.value[static_cast<std::size_t>(e)]) * static_cast<double>(columns[static_cast<std::size_t>(c.rows.index[static_cast<std::size_t>(e)])]);
  return static_cast<float>(sum);
}

// What interval steps make of the neurons' boxes with the task's splits: lower ends, then upper ends.
std::vector<float> narrowed(Made& m, const DualTask& task) {
  ValueBoxes known = m.root;
  for (const auto& [neuron, positive] : task.splits) {
    const FreeNeuron& n = m.free[static_cast<std::size_t>(neuron)];
    (positive ? known.lower : known.upper)[static_cast<std::size_t>(m.acts[static_cast<std::size_t>(n.act)].in)][static_cast<std::size_t>(n.element)] = 0;
  }
  BoundOptions o;
  o.method = Method::interval;
  const Group& group = m.problem.groups[0];
  const ValueBoxes boxes = m.engine->boxes(box_of(group.lower, group.upper), o, &known).value();
  std::vector<float> made;
  for (const auto* side : {&boxes.lower, &boxes.upper})
    for (const FreeNeuron& n : m.free) made.push_back(static_cast<float>((*side)[static_cast<std::size_t>(m.acts[static_cast<std::size_t>(n.act)].in)][static_cast<std::size_t>(n.element)]));
  return made;
}

// The engine's bound with the slopes and multipliers that were found.
double engine_bound(Made& m, const DualTask& task, const DualFound& found) {
  const Group& group = m.problem.groups[0];
  const Regions r = box_of(group.lower, group.upper);
  Forms f;
  f.value = m.c.network->outputs[0];
  f.rows = 1;
  f.coefficient = {1, 0};
  f.want_upper = false;
  ValueBoxes known = m.root;
  SplitSearch s;
  for (const auto& [neuron, positive] : task.splits) {
    const FreeNeuron& n = m.free[static_cast<std::size_t>(neuron)];
    const auto v = static_cast<std::size_t>(m.acts[static_cast<std::size_t>(n.act)].in), e = static_cast<std::size_t>(n.element);
    (positive ? known.lower : known.upper)[v][e] = 0;
    s.splits.push_back({0, m.acts[static_cast<std::size_t>(n.act)].in, n.element, positive});
  }
  for (const Activation& a : m.acts) s.slopes[a.out].assign(static_cast<std::size_t>(a.size), 0.0F);
  for (std::size_t j = 0; j < m.free.size(); ++j) s.slopes[m.acts[static_cast<std::size_t>(m.free[j].act)].out][static_cast<std::size_t>(m.free[j].element)] = found.slopes[j];
  s.multipliers = found.beta;
  s.regions = &r;
  s.forms = &f;
  s.known = &known;
  s.options.precision = Precision::dual;
  s.options.alpha_steps = 0;
  REQUIRE(m.engine->search(s).ok());
  return s.lower[0];
}

}  // namespace

TEST_CASE("a condensed network has the network's values") {
  std::mt19937_64 random(41);
  std::uniform_real_distribution<double> unit(0, 1);
  for (int n = 0; n < 20; ++n) {
    const auto m = make(random);
    const Condensed& c = m->condensed;
    REQUIRE(c.inputs == std::vector<std::int64_t>{0, 2});
    REQUIRE(c.neurons() == m->free.size());
    for (int p = 0; p < 10; ++p) {
      std::vector<double> x = m->c.lower;
      for (const std::int64_t i : c.inputs) x[static_cast<std::size_t>(i)] += unit(random) * (m->c.upper[static_cast<std::size_t>(i)] - m->c.lower[static_cast<std::size_t>(i)]);
      const auto values = m->engine->evaluate(x, 1, {m->acts[0].in, m->acts[1].in, m->c.network->outputs[0]}, Precision::dual).value();
      std::vector<float> columns;
      for (const std::int64_t i : c.inputs) columns.push_back(static_cast<float>(x[static_cast<std::size_t>(i)]));
      columns.resize(c.inputs.size() + c.neurons(), 0.0F);
      for (std::size_t j = 0; j < c.neurons(); ++j) {
        const float z = line_at(c, j, columns);
        CHECK(static_cast<double>(z) == Approx(values[static_cast<std::size_t>(m->free[j].act)][static_cast<std::size_t>(m->free[j].element)]).margin(1e-4));
        columns[c.inputs.size() + j] = std::max(z, 0.0F);
      }
      double y = static_cast<double>(c.forms[0].constant);
      for (std::size_t k = 0; k < columns.size(); ++k) y += static_cast<double>(c.forms[0].coefficient[k]) * static_cast<double>(columns[k]);
      CHECK(y == Approx(values[2][0]).margin(1e-4));
    }
  }
}

TEST_CASE("estimates of halves stay under the exact minimum, grow with steps and are what the engine proves") {
  std::mt19937_64 random(43);
  int better = 0, halves = 0;
  double worst = 0;
  for (int n = 0; n < 25; ++n) {
    const auto m = make(random);
    const ExactCells cells(m->c.net, m->c.lower, m->c.upper);
    std::vector<DualTask> tasks;
    std::vector<double> least;
    for (std::size_t j = 0; j < m->free.size(); ++j)
      for (const bool positive : {false, true}) {
        DualTask t;
        t.splits = {{static_cast<std::int32_t>(j), positive}};
        t.enough = INFINITY;
        std::optional<Rational> exact_least;
        for (const auto& v : cells.vertices()) {
          const Rational& z = v.values[static_cast<std::size_t>(m->free[j].act)][static_cast<std::size_t>(m->free[j].element)];
          if (positive ? z < 0 : z > 0) continue;
          if (!exact_least || v.values.back()[0] < *exact_least) exact_least = v.values.back()[0];
        }
        if (!exact_least) continue;
        tasks.push_back(t);
        least.push_back(exact_least->convert_to<double>());
      }
    DualPlan plan, longer;
    longer.steps = 30;
    longer.finish = true;
    std::vector<std::vector<float>> boxes;
    for (const DualTask& t : tasks) boxes.push_back(narrowed(*m, t));
    for (std::size_t i = 0; i < tasks.size(); ++i) tasks[i].boxes = &boxes[i];
    const auto start = dual_ascent(m->condensed, tasks, plan, {}), end = dual_ascent(m->condensed, tasks, longer, {});
    for (std::size_t i = 0; i < tasks.size(); ++i, ++halves) {
      CHECK(end.parts[i].bound <= least[i] + 1e-4);
      CHECK(end.parts[i].bound >= start.parts[i].bound);
      better += end.parts[i].bound > start.parts[i].bound + 1e-6;
      worst = std::max(worst, std::fabs(engine_bound(*m, tasks[i], end.parts[i]) - end.parts[i].bound));
      REQUIRE(end.parts[i].open.size() == m->free.size());
      CHECK_FALSE(end.parts[i].open[static_cast<std::size_t>(tasks[i].splits[0].first)]);
    }
  }
  CHECK(halves > 100);
  CHECK(better > halves / 2);
  CHECK(worst < 1e-4);
}
