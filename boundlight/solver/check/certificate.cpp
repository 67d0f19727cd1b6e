#include "boundlight/solver/check/certificate.hpp"

#include "boundlight/solver/check/fields.hpp"

namespace boundlight::check {

void fields(ByteReader& io, Tree& t) {
  struct Open { std::int32_t parent; std::size_t depth; bool high; };
  for (std::vector<Open> open = {{-1, 1, false}}; !open.empty();) {
    const Open next = open.back();
    open.pop_back();
    io.need(next.depth <= kMaxDepth && t.nodes.size() < INT32_MAX, "a tree is too deep or too large");
    const auto i = static_cast<std::int32_t>(t.nodes.size());
    if (next.parent >= 0) (next.high ? t.nodes[next.parent].high : t.nodes[next.parent].low) = i;
    io.all(t.nodes.emplace_back());
    const int children = children_of(t.nodes[i]);
    if (children > 1) open.push_back({i, next.depth + 1, true});
    if (children > 0) open.push_back({i, next.depth + 1, false});
  }
}

Result<Certificate> parse_certificate(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic) return Error{ErrorKind::bad_input, "byte 0", "not a certificate of version 2"};
  Certificate c;
  try {
    ByteReader reader(bytes, kMagic.size());
    reader.all(c);
    reader.end();
  } catch (const BadBytes& b) {
    return Error{ErrorKind::bad_input, "byte " + std::to_string(b.at), b.why};
  }
  return c;
}

}  // namespace boundlight::check
