#include "boundlight/explain/eva_certificate.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "boundlight/core/files.hpp"
#include "boundlight/core/rounding.hpp"
#include "boundlight/explain/eva_parts.hpp"
#include "boundlight/solver/bab/root_boxes.hpp"
#include "boundlight/solver/check/bounds.hpp"

namespace boundlight {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kRowsAtOnce = 512;
constexpr std::uint32_t kBackward = 1, kIntervals = 2;  // sections of the certificate

Error impossible(const std::string& source, const std::string& why) { return {ErrorKind::unsupported, source, "there is no certificate: " + why}; }

class Certifier {
 public:
  Certifier(const Network& network, const EvaQuestion& q, const EvaOptions& o, const EvaMap& map) : network_(network), q_(q), o_(o), map_(map), members_(static_cast<std::size_t>(q.cells) + 1) {}

  Result<void> read();
  // Throws check::Refusal.
  void state(const CertifiedImage& image);
  void attain();
  // Searched slopes for the boxes of all neurons, where B was cut into parts.
  Result<void> refine(Engine& engine);
  void bound();
  // The checker's word on everything but the trees.
  Result<void> refused();
  check::Certificate certificate;

 private:
  using Part = EvaEvidence::Part;
  check::Importance& map() { return certificate.statements[0].importance; }
  check::Box member_box(std::size_t m) const;
  struct Plane {
    const Part* part = nullptr;
    std::vector<double> bound;  // per member
    bool empty = false;         // the part holds no point
  };
  struct Grown {
    std::vector<Plane> planes;
    EvaEvidence::Cut cut;
    std::int32_t low = -1, high = -1;
  };
  std::int32_t grow(std::vector<const Part*> parts, std::size_t depth);
  void bound_planes(std::uint32_t disjunct, const check::Boxes& root);
  void find_loose(std::int32_t at, double least, std::vector<Plane*>& loose);
  void collect(std::int32_t at, std::vector<double> least, std::vector<double>& verified) const;
  std::int32_t write(check::Tree& tree, std::int32_t at, std::vector<bool> open, const std::vector<double>& verified);
  std::uint32_t name_of(const EvaEvidence::Cut& cut) { return certificate.name_id(network_.values[static_cast<std::size_t>(map_.evidence->layers[static_cast<std::size_t>(cut.layer)].before)].name); }
  std::vector<check::Split> path_of(const Part& part);
  check::Row row(std::uint32_t disjunct, const check::Choices* choices) const;
  check::SlopeSet slopes_of(const Part& part);

  const Network& network_;
  const EvaQuestion& q_;
  const EvaOptions& o_;
  const EvaMap& map_;
  std::size_t members_;
  check::Model model_;
  std::unique_ptr<check::Propagation> propagation_;
  check::Box box_;
  std::vector<check::Box> boxes_;  // of the members
  std::vector<Grown> nodes_;       // of the tree at hand; the root first
  const Part whole_;               // where B was not cut
};

Result<void> Certifier::read() {
  BL_TRY(bytes, read_file(network_.source));
  certificate.engine = "boundlight " BOUNDLIGHT_VERSION;
  certificate.model_sha256 = sha256_hex(bytes);
  if (!network_.sha256.empty() && network_.sha256 != certificate.model_sha256) return Error{ErrorKind::bad_input, network_.source, "the file has changed since it was loaded"};
  model_ = check::read_model(bytes);
  const auto classes = static_cast<std::size_t>(network_.values[static_cast<std::size_t>(network_.logits)].size);
  if (network_.logits != network_.outputs[0] || model_.tensors[static_cast<std::size_t>(model_.output)].size != classes)
    return impossible(network_.source, "the checker reads the model's output, which is not the logits (a trailing Softmax); export the model without it");
  propagation_ = std::make_unique<check::Propagation>(model_, certificate);
  certificate.bounds.resize(2);
  certificate.bounds[0].mode = check::Bounds::Mode::backward;
  return {};
}

void Certifier::state(const CertifiedImage& image) {
  check::Statement& s = certificate.statements.emplace_back();
  s.kind = check::Statement::Kind::importance;
  s.title = image.title;
  check::Importance& m = s.importance;
  m.pixels = image.ball.pixel;
  m.mean = image.ball.mean;
  m.deviation = image.ball.deviation;
  m.eps = image.ball.eps;
  if (image.ball.clip) m.clip = {image.ball.clip->first, image.ball.clip->second};
  m.half = image.half > 0 ? check::Importance::Half::plus : image.half < 0 ? check::Importance::Half::minus : check::Importance::Half::both;
  m.x = q_.x;
  m.cell.assign(q_.cell.begin(), q_.cell.end());
  m.label = static_cast<std::uint32_t>(map_.label);
  for (const std::int64_t k : eva_parts::rivals_of(static_cast<std::int64_t>(map_.logits.size()), map_.label, q_.target).rival) m.rivals.push_back(static_cast<std::uint32_t>(k));
  box_ = check::importance_region(m, q_.x.size()).outward;
}

// What the checker finds at the points.
void Certifier::attain() {
  const std::size_t n = q_.x.size();
  check::Importance& m = map();
  m.attained.assign(members_, -kInfinity);
  m.points.resize(members_);
  for (std::size_t k = 0; k < members_; ++k) m.points[k].assign(map_.evidence->points.begin() + static_cast<std::ptrdiff_t>(k * n), map_.evidence->points.begin() + static_cast<std::ptrdiff_t>((k + 1) * n));
  tbb::parallel_for(std::size_t{0}, members_, [&](std::size_t k) {
    const auto boxes = propagation_->boxes({m.points[k], m.points[k]}, nullptr, {}, nullptr);
    const check::Box& y = boxes->of[static_cast<std::size_t>(model_.output)];
    for (const std::uint32_t rival : m.rivals) m.attained[k] = std::max(m.attained[k], sub_down(y.lower[rival], y.upper[m.label]));
  });
  const auto best = std::max_element(m.attained.begin(), m.attained.end()) - m.attained.begin();
  m.attained[0] = m.attained[static_cast<std::size_t>(best)];  // points of B_u are points of B
  m.points[0] = m.points[static_cast<std::size_t>(best)];
}

Result<void> Certifier::refine(Engine& engine) {
  std::vector<bab::Activation> activations;
  std::size_t first = 0;
  for (const EvaEvidence::Layer& layer : map_.evidence->layers) {
    const auto name = [&](ValueId v) { return certificate.name_id(network_.values[static_cast<std::size_t>(v)].name); };
    activations.push_back({layer.before, layer.after, static_cast<std::int64_t>(layer.size), first, name(layer.before), name(layer.after)});
    first += layer.size;
  }
  if (activations.empty() || o_.tier == EvaTier::refined || o_.tier == EvaTier::full) return {};
  bab::Group group;
  group.lower = q_.lower;
  group.upper = q_.upper;
  Regions region;
  region.batch = 1;
  region.lower = q_.lower;
  region.upper = q_.upper;
  BoundOptions options = o_.bounds;
  options.method = Method::crown;  // what searched slopes decide needs slopes in the certificate
  options.progress = nullptr;
  BL_TRY(boxes, engine.boxes(region, options, nullptr));
  options.method = Method::alpha;
  check::Bounds& section = certificate.bounds[kBackward - 1];
  BL_CHECK(bab::refine_root(engine, group, activations, options, boxes, &section));
  std::erase_if(section.steps, [](const check::BackwardStep& s) { return s.listed.empty(); });  // the mode's own rows instead
  return {};
}

check::Box Certifier::member_box(std::size_t m) const {
  check::Box box = box_;
  for (std::size_t i = 0; i < q_.x.size(); ++i)
    if (static_cast<std::size_t>(q_.cell[i]) + 1 == m) box.lower[i] = box.upper[i] = q_.x[i];
  return box;
}

// f_c - f_k
check::Row Certifier::row(std::uint32_t disjunct, const check::Choices* choices) const {
  const check::Importance& m = certificate.statements[0].importance;
  check::Row r;
  r.terms = {{model_.output, m.label, 1, 0}, {model_.output, m.rivals[disjunct], -1, 0}};
  r.choices = choices;
  return r;
}

void Certifier::bound() {
  check::Importance& m = map();
  const bool own = o_.tier == EvaTier::refined || o_.tier == EvaTier::full;
  const auto rivals = static_cast<std::uint32_t>(m.rivals.size());
  std::vector<double> verified(members_, -kInfinity);
  std::vector<std::vector<Grown>> trees(own ? 0 : rivals);
  if (!own) {
    const auto root = propagation_->boxes(box_, nullptr, {}, &certificate.bounds[kBackward - 1]);
    for (std::size_t k = 0; k < members_; ++k) boxes_.push_back(member_box(k));
    for (std::uint32_t d = 0; d < rivals; ++d) {
      std::vector<const Part*> parts;
      for (const Part& p : map_.evidence->parts)
        if (p.rival == m.rivals[d]) parts.push_back(&p);
      if (parts.empty()) parts.push_back(&whole_);
      nodes_.clear();
      grow(std::move(parts), 0);
      bound_planes(d, *root);
      collect(0, std::vector<double>(members_, kInfinity), verified);
      trees[d] = std::move(nodes_);
    }
  }
  check::Node leaf;
  leaf.bounds = kBackward;
  leaf.lambda = {1};
  const check::Choices none(model_.ops.size());
  for (std::uint32_t k = 0; own && k < members_; ++k) {
    const check::Box box = member_box(k);
    const auto boxes = propagation_->boxes(box, nullptr, {}, &certificate.bounds[kBackward - 1]);
    std::vector<check::Row> rows;
    for (std::uint32_t d = 0; d < rivals; ++d) {
      rows.push_back(row(d, &none));
      certificate.proofs.push_back({0, d, 1 + k, {{leaf}}});
    }
    for (const check::LinearForm& form : propagation_->backward(*boxes, rows)) verified[k] = std::max(verified[k], -check::lowest(form, box));
  }
  // A little above: thresholds are rounded too.
  for (double& v : verified) v += 1e-12 * (1 + std::fabs(v));
  verified[0] = *std::max_element(verified.begin(), verified.end());
  for (std::uint32_t d = 0; d < trees.size(); ++d) {
    nodes_ = std::move(trees[d]);
    check::Proof& proof = certificate.proofs.emplace_back();
    proof.disjunct = d;
    write(proof.tree, 0, std::vector<bool>(members_, true), verified);
    proof.tree.nodes[0].bounds = kBackward;
  }
  m.verified = std::move(verified);
}

check::SlopeSet Certifier::slopes_of(const Part& part) {
  check::SlopeSet set;
  if (!part.slopes) return set;
  for (const EvaEvidence::Layer& layer : map_.evidence->layers) {
    check::Slopes& s = set.emplace_back();
    s.value = certificate.name_id(network_.values[static_cast<std::size_t>(layer.after)].name);
    const auto first = part.slopes->begin() + static_cast<std::ptrdiff_t>(layer.first);
    s.numbers.assign(first, first + static_cast<std::ptrdiff_t>(layer.size));
  }
  return set;
}

// The parts' cuts as a tree: a node per part that was bounded, with the planes of its searches.
std::int32_t Certifier::grow(std::vector<const Part*> parts, std::size_t depth) {
  const auto at = static_cast<std::int32_t>(nodes_.size());
  nodes_.emplace_back();
  const auto deeper = std::stable_partition(parts.begin(), parts.end(), [&](const Part* p) { return p->cuts.size() == depth; });
  for (auto p = parts.begin(); p != deeper; ++p) nodes_[static_cast<std::size_t>(at)].planes.push_back({*p, {}, false});
  if (deeper == parts.end()) return at;
  const EvaEvidence::Cut cut = (*deeper)->cuts[depth];
  const auto active = std::stable_partition(deeper, parts.end(), [&](const Part* p) { return !p->cuts[depth].active; });
  const std::int32_t low = grow({deeper, active}, depth + 1), high = grow({active, parts.end()}, depth + 1);
  Grown& node = nodes_[static_cast<std::size_t>(at)];
  node.cut = cut;
  node.low = low;
  node.high = high;
  return at;
}

std::vector<check::Split> Certifier::path_of(const Part& part) {
  std::vector<check::Split> path;
  for (const EvaEvidence::Cut& c : part.cuts) path.push_back({propagation_->tensor(name_of(c), static_cast<std::uint32_t>(c.element)), static_cast<std::uint32_t>(c.element), c.active});
  return path;
}

// What every plane of the tree says about every member.
void Certifier::bound_planes(std::uint32_t disjunct, const check::Boxes& root) {
  std::vector<Plane*> planes;
  for (Grown& node : nodes_)
    for (Plane& plane : node.planes) planes.push_back(&plane);
  for (std::size_t from = 0; from < planes.size(); from += kRowsAtOnce) {
    const std::size_t count = std::min(kRowsAtOnce, planes.size() - from);
    std::vector<check::Choices> choices(count);
    std::vector<std::vector<check::Split>> paths(count);
    std::vector<check::Row> rows;
    for (std::size_t i = 0; i < count; ++i) {
      const Part& part = *planes[from + i]->part;
      choices[i] = propagation_->resolve(slopes_of(part), check::Choices(model_.ops.size()));
      paths[i] = path_of(part);
      rows.push_back(row(disjunct, &choices[i]));
      rows.back().splits = &paths[i];
      rows.back().beta = &part.beta;
    }
    const std::vector<check::LinearForm> forms = propagation_->backward(root, rows);
    tbb::parallel_for(std::size_t{0}, count, [&](std::size_t i) {
      for (const check::Box& box : boxes_) planes[from + i]->bound.push_back(-check::lowest(forms[i], box));
    });
  }
  std::vector<Plane*> loose;
  find_loose(0, kInfinity, loose);
  std::vector<std::vector<check::Split>> paths;
  for (const Plane* plane : loose) paths.push_back(path_of(*plane->part));
  tbb::parallel_for(std::size_t{0}, loose.size(), [&](std::size_t i) {
    loose[i]->empty = propagation_->boxes(box_, &root, paths[i], &certificate.bounds[kIntervals - 1])->empty;
    if (loose[i]->empty) loose[i]->bound.assign(members_, -kInfinity);
  });
}

// The parts that all planes on the way to them bound much less tightly than the engine did: it may have found that the boxes behind
// their splits hold no point.
void Certifier::find_loose(std::int32_t at, double least, std::vector<Plane*>& loose) {
  Grown& node = nodes_[static_cast<std::size_t>(at)];
  for (const Plane& plane : node.planes) least = std::min(least, plane.bound[0]);
  if (node.low >= 0) {
    find_loose(node.low, least, loose);
    find_loose(node.high, least, loose);
    return;
  }
  const double tolerated = map_.verified_base + 0.05 * (map_.verified_base - map_.attained_base);  // eight bits per slope cost a little
  if (!node.planes.empty() && least > tolerated && !node.planes.back().part->cuts.empty()) loose.push_back(&node.planes.back());
}

// AOv of every member: the largest over all parts of the least that any plane on the way to the part says.
void Certifier::collect(std::int32_t at, std::vector<double> least, std::vector<double>& verified) const {
  const Grown& node = nodes_[static_cast<std::size_t>(at)];
  for (const Plane& plane : node.planes)
    for (std::size_t m = 0; m < members_; ++m) least[m] = std::min(least[m], plane.bound[m]);
  if (node.low < 0) {
    for (std::size_t m = 0; m < members_; ++m) verified[m] = std::max(verified[m], least[m]);
    return;
  }
  collect(node.low, least, verified);
  collect(node.high, std::move(least), verified);
}

// The proof's tree: at every node the members that its planes suffice for are done, the others go on.
std::int32_t Certifier::write(check::Tree& tree, std::int32_t at, std::vector<bool> open, const std::vector<double>& verified) {
  const Grown& node = nodes_[static_cast<std::size_t>(at)];
  const auto add = [&](check::Node n) {
    tree.nodes.push_back(std::move(n));
    return static_cast<std::int32_t>(tree.nodes.size() - 1);
  };
  const auto leaf_of = [&](const Plane& plane) {
    check::Node leaf;
    leaf.lambda = {1};
    leaf.beta = plane.part->beta;
    if (plane.empty) leaf.bounds = kIntervals;
    else leaf.slopes = slopes_of(*plane.part);
    return leaf;
  };
  for (std::size_t k = 0; k < node.planes.size(); ++k) {
    std::vector<std::uint32_t> done;
    std::vector<bool> rest = open;
    for (std::uint32_t m = 0; m < members_; ++m)
      if (open[m] && node.planes[k].bound[m] <= verified[m]) done.push_back(m), rest[m] = false;
    if (done.empty()) continue;
    if (std::find(rest.begin(), rest.end(), true) == rest.end()) return add(leaf_of(node.planes[k]));
    check::Node family;
    family.kind = check::Node::Kind::family;
    family.members = std::move(done);
    const std::int32_t here = add(std::move(family)), low = add(leaf_of(node.planes[k]));
    // The planes that are left, then the parts below.
    Grown left = node;
    left.planes.erase(left.planes.begin(), left.planes.begin() + static_cast<std::ptrdiff_t>(k + 1));
    nodes_.push_back(std::move(left));
    const std::int32_t high = write(tree, static_cast<std::int32_t>(nodes_.size() - 1), std::move(rest), verified);
    tree.nodes[static_cast<std::size_t>(here)].low = low;
    tree.nodes[static_cast<std::size_t>(here)].high = high;
    return here;
  }
  demand(node.low >= 0, "certify: a part is left without a bound");
  check::Node split;
  split.kind = check::Node::Kind::relu_split;
  split.value = name_of(node.cut);
  split.neuron = static_cast<std::uint32_t>(node.cut.element);
  const std::int32_t below[2] = {node.low, node.high};  // `node` may move
  const std::int32_t here = add(std::move(split)), low = write(tree, below[0], open, verified), high = write(tree, below[1], std::move(open), verified);
  tree.nodes[static_cast<std::size_t>(here)].low = low;
  tree.nodes[static_cast<std::size_t>(here)].high = high;
  return here;
}

Result<void> Certifier::refused() {
  try {
    check::importance_claim(map(), model_, *propagation_);
  } catch (const check::Refusal& r) {
    return impossible(network_.source, std::string("the checker says: ") + r.what());
  }
  return {};
}

}  // namespace

Result<check::Certificate> certify(Engine& engine, const EvaQuestion& question, const CertifiedImage& image, const EvaOptions& options, EvaMap& map) {
  const Network& network = engine.network();
  demand(map.evidence != nullptr, "certify: the map was made without evidence");
  if (!map.certified) return impossible(network.source, "the map rests on samples");
  if (options.overlap != Overlap::margin || options.bounds.semantics != Semantics::real) return impossible(network.source, "certificates are for margins (--overlap margin), in real arithmetic");
  Certifier certifier(network, question, options, map);
  try {
    BL_CHECK(certifier.read());
    certifier.state(image);
    certifier.attain();
    BL_CHECK(certifier.refine(engine));
    certifier.bound();
  } catch (const check::Refusal& r) {
    return impossible(network.source, "the checker says: " + (r.place.empty() ? "" : r.place + ": ") + r.what());
  }
  check::Importance& m = certifier.certificate.statements[0].importance;
  for (const auto* list : {&m.verified, &m.attained})
    for (const double x : *list)
      if (!std::isfinite(x)) return impossible(network.source, "the checker's own bounds are not finite");
  EvaMap shown = map;
  shown.verified_base = m.verified[0];
  shown.attained_base = m.attained[0];
  shown.worst_point = m.points[0];
  shown.verified.assign(m.verified.begin() + 1, m.verified.end());
  shown.attained.assign(m.attained.begin() + 1, m.attained.end());
  shown.difference.clear();  // no part of the certificate
  summarise(shown, options.estimate, options.tau);
  m.lower = shown.lower;
  m.upper = shown.upper;
  m.tau = shown.tau;
  m.ordered = static_cast<std::uint64_t>(shown.ordered);
  m.equal = static_cast<std::uint64_t>(shown.equal);
  m.undecided = static_cast<std::uint64_t>(shown.undecided);
  BL_CHECK(certifier.refused());
  map = std::move(shown);
  return std::move(certifier.certificate);
}

}  // namespace boundlight
