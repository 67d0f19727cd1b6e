#include "boundlight/solver/evidence/write.hpp"

#include <algorithm>
#include <cmath>

#include "boundlight/core/files.hpp"
#include "boundlight/solver/check/fields.hpp"

namespace boundlight::check {
namespace {

// Names and titles come from the files: no line breaks or control characters of theirs reach a terminal.
std::string plain(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  return text;
}

}  // namespace

void fields(ByteWriter& io, Tree& t) {
  struct Open { std::int32_t node; std::size_t depth; };
  std::size_t done = 0;
  for (std::vector<Open> open = {{0, 1}}; !open.empty(); ++done) {
    const auto [i, depth] = open.back();
    open.pop_back();
    demand(i >= 0 && static_cast<std::size_t>(i) < t.nodes.size() && done < t.nodes.size() && depth <= kMaxDepth, "serialize: a tree has a missing child or a cycle, or is too deep");
    Node& n = t.nodes[static_cast<std::size_t>(i)];
    io.all(n);
    if (children_of(n) > 1) open.push_back({n.high, depth + 1});
    if (children_of(n) > 0) open.push_back({n.low, depth + 1});
  }
  demand(done == t.nodes.size(), "serialize: a node of a tree is not reached from its root");
}

std::uint16_t quantised_slope(double t, int width) {
  return static_cast<std::uint16_t>(std::lround(std::clamp(t, 0.0, 1.0) * (width == 1 ? 255.0 : 65535.0)));
}

std::uint32_t Certificate::name_id(std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<std::uint32_t>(found - names.begin());
  names.emplace_back(name);
  return static_cast<std::uint32_t>(names.size() - 1);
}

std::string serialize(const Certificate& certificate) {
  ByteWriter writer{std::string(kMagic)};
  writer.all(const_cast<Certificate&>(certificate));  // fields() serves readers too; a writer changes nothing
  return std::move(writer.out);
}

Result<Verdict> check(const std::filesystem::path& certificate, const std::filesystem::path& model, const std::optional<std::filesystem::path>& spec, const CheckOptions& options) {
  BL_TRY(certificate_bytes, read_file(certificate, options.max_bytes));
  BL_TRY(model_bytes, read_file(model, options.max_bytes));
  if (!spec) return check_bytes(certificate_bytes, model_bytes, std::nullopt, options.stop);
  BL_TRY(spec_bytes, read_file(*spec, options.max_bytes));
  return check_bytes(certificate_bytes, model_bytes, spec_bytes, options.stop);
}

std::string text(const Verdict& v) {
  std::string out = v.kind == Verdict::Kind::accepted ? "accepted\n" : v.kind == Verdict::Kind::partial ? "partial\n" : "rejected\n";
  if (v.kind == Verdict::Kind::rejected) return out + "  fails at:  " + plain(v.place) + "\n  because:   " + plain(v.reason) + "\n";
  for (const std::string& p : v.proved) out += "  proved:    " + plain(p) + "\n";
  for (const std::string& t : v.trusted) out += "  believed:  " + plain(t) + "\n";
  out += v.trusted.empty() ? "  complete:  every step was computed anew, none was believed\n" : "  partial:   what is believed above was not proved; all other steps were computed anew\n";
  out += std::string("  semantics: ") + (v.semantics == Semantics::real ? "real (exact arithmetic on the weights of the file)" : "float32-any-order (exact arithmetic, and every covered float32 evaluation)");
  out += "\n  model:     sha256 " + plain(v.model_sha256) + "\n";
  if (!v.spec_sha256.empty()) out += "  property:  sha256 " + plain(v.spec_sha256) + "\n";
  return out + "  made by:   " + plain(v.engine) + "\n  replayed:  " + std::to_string(v.nodes) + " nodes, " + std::to_string(v.leaves) + " leaves\n";
}

}  // namespace boundlight::check
