#include "boundlight/solver/bab/state.hpp"

#include "boundlight/core/files.hpp"
#include "boundlight/solver/bab/archive.hpp"

namespace boundlight::bab {
namespace {

constexpr std::string_view kMagic = "BLSTATE3";
constexpr std::size_t kChecksum = 64;  // SHA-256 in hexadecimal

template <class A>
void fields(A& a, State& s) {
  all(a, s.subject, s.open, s.trees, s.own, s.lambda, s.certificate, s.group, s.regions, s.domains, s.leaves, s.splits, s.clips, s.deepest, s.seconds);
}

template <class T>
void put(std::string& text, const T& x) {
  if constexpr (std::is_arithmetic_v<T>) text.append(reinterpret_cast<const char*>(&x), sizeof x);
  else if constexpr (std::is_same_v<T, std::string>) put(text, x.size()), text += x;
  else if constexpr (std::is_same_v<T, Tensor>) put(text, static_cast<int>(x.type())), put(text, x.shape()), put(text, x.bytes().size()), text += x.bytes();
  else {
    put(text, x.size());
    for (const auto& element : x) put(text, element);
  }
}

}  // namespace

std::string identity_of(const Network& network) {
  std::string text;
  put(text, network.sha256);
  for (const NetworkValue& v : network.values) {
    put(text, static_cast<int>(v.type));
    put(text, v.shape);
    if (v.constant) put(text, *v.constant);
  }
  for (const NetworkNode& n : network.nodes) {
    put(text, n.node.op);
    put(text, n.node.version);
    put(text, n.node.inputs);
    put(text, n.node.outputs);
    for (const auto& [name, attribute] : n.node.attributes) {
      put(text, name);
      std::visit([&](const auto& value) { put(text, value); }, attribute);
    }
  }
  put(text, network.inputs);
  put(text, network.outputs);
  return sha256_hex(text);
}

Result<void> save_state(const std::filesystem::path& path, const State& state) {
  Writer w;
  w.bytes = kMagic;
  std::string version = BOUNDLIGHT_VERSION;
  field(w, version);
  fields(w, const_cast<State&>(state));  // a writer changes nothing
  w.bytes += sha256_hex(w.bytes);
  return write_file(path, w.bytes);
}

Result<std::optional<State>> load_state(const std::filesystem::path& path, const std::string& subject) {
  std::error_code gone;
  if (!std::filesystem::exists(path, gone)) return std::optional<State>();
  BL_TRY(bytes, read_file(path));
  const Error damaged{ErrorKind::bad_input, path.string(), "is no state file of this version, or is damaged; remove it to start anew"};
  const std::string_view all_bytes = bytes;
  if (all_bytes.size() < kMagic.size() + kChecksum || all_bytes.substr(0, kMagic.size()) != kMagic) return damaged;
  const std::string_view content = all_bytes.substr(0, all_bytes.size() - kChecksum);
  if (sha256_hex(content) != all_bytes.substr(content.size())) return damaged;
  Reader r(content.substr(kMagic.size()));
  std::string version;
  field(r, version);
  if (version != BOUNDLIGHT_VERSION)
    return Error{ErrorKind::bad_input, path.string(), "was written by version " + version + " and this is " BOUNDLIGHT_VERSION "; remove it to start anew"};
  State state;
  fields(r, state);
  if (!r.good || !r.left.empty()) return damaged;
  if (state.subject != subject)
    return Error{ErrorKind::bad_input, path.string(), "belongs to another model, property or way of searching; give another --state file, or remove this one"};
  return std::optional<State>(std::move(state));
}

}  // namespace boundlight::bab
