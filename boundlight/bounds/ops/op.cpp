#include "boundlight/bounds/ops/op.hpp"

#include <algorithm>

namespace boundlight {

#define BL_OP(name) extern const OpInfo name##_op;
#include "boundlight/bounds/ops/all_ops.def"
#undef BL_OP

namespace {

constexpr const OpInfo* kAll[] = {
#define BL_OP(name) &name##_op,
#include "boundlight/bounds/ops/all_ops.def"
#undef BL_OP
};

template <class T>
const T* attribute(const Node& node, std::string_view name) {
  const auto found = node.attributes.find(name);
  return found == node.attributes.end() ? nullptr : std::get_if<T>(&found->second);
}

template <class T>
T attribute_or(const Node& node, std::string_view name, T fallback) {
  const T* a = attribute<T>(node, name);
  return a ? *a : fallback;
}

}  // namespace

std::span<const OpInfo* const> all_ops() { return kAll; }

const OpInfo* find_op(std::string_view name) {
  const auto found = std::find_if(std::begin(kAll), std::end(kAll), [&](const OpInfo* op) { return name == op->name; });
  return found == std::end(kAll) ? nullptr : *found;
}

bool covers_deployment(const OpInfo& op) { return op.deployed && !std::string_view(op.deployed).starts_with("no"); }

Error refuse(std::string message) { return {ErrorKind::unsupported, "", std::move(message)}; }

std::int64_t NodeView::integer(std::string_view name, std::int64_t fallback) const { return attribute_or(*node, name, fallback); }
double NodeView::real(std::string_view name, double fallback) const { return attribute_or(*node, name, fallback); }
std::string NodeView::text(std::string_view name, std::string_view fallback) const {
  return attribute_or(*node, name, std::string(fallback));
}
std::vector<std::int64_t> NodeView::integers(std::string_view name, std::vector<std::int64_t> fallback) const {
  return attribute_or(*node, name, std::move(fallback));
}
std::vector<double> NodeView::reals(std::string_view name, std::vector<double> fallback) const {
  return attribute_or(*node, name, std::move(fallback));
}
const Tensor* NodeView::tensor(std::string_view name) const { return attribute<Tensor>(*node, name); }
bool NodeView::has_attribute(std::string_view name) const { return node->attributes.find(name) != node->attributes.end(); }

std::optional<std::int64_t> NodeView::axis(std::int64_t a, std::size_t rank) {
  const auto r = static_cast<std::int64_t>(rank);
  if (a < -r || a >= r) return std::nullopt;
  return a < 0 ? a + r : a;
}

}  // namespace boundlight
