#include "boundlight/solver/check/model.hpp"

#include <limits>

#include "boundlight/solver/check/graph_values.hpp"

namespace boundlight::check {
namespace {

// Windows of Conv and of the pools over the spatial dimensions of [1, channels, spatial...].
struct Windows {
  Dims in, kernel, stride, dilation, begin, out;
  std::int64_t area = 1, taps = 1, positions = 1;  // products of in, kernel, out

  // The flat spatial index of the input under tap k of position o, or -1 in the padding.
  [[nodiscard]] std::int64_t tap(std::int64_t o, std::int64_t k) const {
    std::int64_t flat = 0, step = 1;
    for (std::size_t d = in.size(); d-- > 0; o /= out[d], k /= kernel[d]) {
      const std::int64_t at = o % out[d] * stride[d] - begin[d] + k % kernel[d] * dilation[d];
      if (at < 0 || at >= in[d]) return -1;
      flat += at * step;
      step *= in[d];
    }
    return flat;
  }
};

class Reader : public GraphValues {
 public:
  Reader(const onnx::GraphProto& graph, std::int64_t opset, std::int64_t max_elements) {
    opset_ = opset;
    max_elements_ = max_elements;
    budget_ = 2.0 * static_cast<double>(max_elements);
    for (const auto& t : graph.initializer()) {
      place_ = "initializer " + t.name();
      define(t.name(), constant_of(t));
    }
    place_ = "graph";
    int inputs = 0;
    for (const auto& v : graph.input()) {
      if (values_.count(v.name())) continue;
      need(++inputs == 1, "the checker reads models with exactly one input");
      need(v.type().tensor_type().elem_type() == onnx::TensorProto::FLOAT, "the checker reads models whose input is float32");
      const Dims dims = declared(v);
      define(v.name(), {dims, model.input = tensor(v.name(), size_of(dims)), nullptr});
    }
    need(inputs == 1 && graph.output_size() == 1, "the checker reads models with exactly one input and one output");
    for (const auto& v : graph.value_info()) infos_[v.name()] = &v;
    infos_[graph.output(0).name()] = &graph.output(0);
    for (const auto& n : graph.node()) {
      node_ = &n;
      place_ = "node " + (n.name().empty() && n.output_size() ? n.output(0) : n.name()) + " (" + n.op_type() + ")";
      read_node();
    }
    place_ = "graph output";
    const auto out = values_.find(graph.output(0).name());
    need(out != values_.end() && out->second.tensor >= 0, "is not computed by the graph");
    model.output = out->second.tensor;
  }

 private:
  void read_node() {
    const std::string& op = node_->op_type();
    const bool ours = node_->domain().empty() || node_->domain() == "ai.onnx";
    for (int i = 1; ours && i < node_->output_size(); ++i) need(node_->output(i).empty(), "only the first output is supported");
    need(node_->output_size() > 0, "has no output");
    if (!ours) return unknown();
    if (op == "Constant") {
      const auto* a = attribute("value", onnx::AttributeProto::TENSOR);
      need(a != nullptr, "the checker reads constants given as a tensor");
      return define(node_->output(0), constant_of(a->t()));
    }
    if (op == "Identity" || op == "Dropout") return need(op == "Identity" || !has(2), "a training mode is not supported"), same_data(input(0).dims);
    if (op == "Flatten") return flatten();
    if (op == "Reshape") return reshape();
    if (op == "Squeeze" || op == "Unsqueeze") return squeeze(op == "Squeeze");
    if (op == "Transpose") return transpose_node();
    if (op == "Pad") return pad();
    if (op == "MatMul") return matmul();
    if (op == "Gemm") return gemm();
    if (op == "Add" || op == "Sub") return sum(op == "Add" ? 1 : -1);
    if (op == "Mul" || op == "Div") return scale(op == "Div");
    if (op == "Conv") return conv();
    if (op == "AveragePool" || op == "GlobalAveragePool") return average_pool(op[0] == 'G');
    if (op == "MaxPool") return max_pool();
    if (op == "BatchNormalization") return batch_normalization();
    if (op == "Relu") return emit(op_of(Form::relu, computed().tensor, 1), computed().dims);
    if (op == "LeakyRelu") return leaky_relu();
    if (op == "Sigmoid" || op == "Tanh") return sigmoid(op == "Tanh");
    unknown();
  }

  // No rule: the output's box may come from the certificate, as a trusted step; that needs a declared shape.
  void unknown() {
    for (int i = 0; i < node_->output_size(); ++i) {
      if (node_->output(i).empty()) continue;
      need(infos_.count(node_->output(i)), "there is no rule for this operator, and the model does not declare its output's shape");
      Op op = op_of(Form::opaque);
      op.has_float_rule = false;
      emit(std::move(op), declared(*infos_.at(node_->output(i))), i);
    }
  }

  void flatten() {
    const Dims& d = input(0).dims;
    std::int64_t axis = whole("axis", 1), head = 1, rank = static_cast<std::int64_t>(d.size());
    if (axis < 0) axis += rank;
    need(axis >= 0 && axis <= rank, "the axis is out of range");
    for (std::int64_t i = 0; i < axis; ++i) head *= d[i];
    same_data({head, size_of(d) / head});
  }

  void reshape() {
    need(whole("allowzero", 0) == 0, "allowzero is not supported");
    const Dims& from = input(0).dims;
    Dims to = whole(1);
    std::int64_t known = 1, open = -1;
    for (std::size_t i = 0; i < to.size(); ++i) {
      if (to[i] == 0 && i < from.size()) to[i] = from[i];
      if (to[i] == -1 && open < 0) open = static_cast<std::int64_t>(i);
      else need(to[i] > 0 && known <= max_elements_ / to[i], "the new shape is not possible"), known *= to[i];
    }
    if (open >= 0) to[open] = size_of(from) / known;
    same_data(to);
  }

  void squeeze(bool removes) {
    const Dims from = input(0).dims;
    Dims axes = opset_ >= 13 && has(1) ? whole(1) : list("axes"), to;
    const std::size_t rank = from.size() + (removes ? 0 : axes.size());
    for (std::int64_t& a : axes) a += a < 0 ? static_cast<std::int64_t>(rank) : 0;
    std::size_t next = 0;
    for (std::size_t i = 0; i < rank; ++i) {
      const bool named = std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(i)) != axes.end();
      if (removes && (named || (axes.empty() && from[i] == 1))) need(from[i] == 1, "removes an axis that is not 1 long");
      else if (!removes && named) to.push_back(1);
      else need(next < from.size(), "an axis is named twice"), to.push_back(removes ? from[i] : from[next++]);
    }
    same_data(to);
  }

  void transpose_node() {
    const Value v = computed();
    const std::size_t rank = v.dims.size();
    Dims order(rank), to, strides;
    std::iota(order.rbegin(), order.rend(), 0);
    order = list("perm", order);
    const Dims all = broadcast(v.dims, v.dims);
    std::vector<bool> used(rank, false);
    for (const std::int64_t i : order) {
      need(order.size() == rank && i >= 0 && std::size_t(i) < rank && !used[i], "perm is not a permutation");
      used[i] = true;
      to.push_back(v.dims[i]), strides.push_back(all[i]);
    }
    Op op = op_of(Form::affine);
    op.float_extra = -1;
    op.parts.push_back(moved(v.tensor, size_of(to), [&](std::int64_t o) { return dot_position(o, to, strides); }));
    emit(std::move(op), to);
  }

  void pad() {
    const Value& v = computed();
    const std::size_t rank = v.dims.size();
    const Dims pads = opset_ >= 11 ? whole(1) : list("pads");
    const double filling = opset_ < 11 ? real("value", 0) : has(2) ? constant(2).at(0) : 0;
    need((text("mode").empty() || text("mode") == "constant") && !has(3) && pads.size() == 2 * rank, "only constant padding of all axes is supported");
    Dims to(rank);
    for (std::size_t i = 0; i < rank; ++i) {
      need(std::min(pads[i], pads[rank + i]) >= 0 && std::max(pads[i], pads[rank + i]) <= max_elements_, "negative or huge pads are not supported");
      to[i] = v.dims[i] + pads[i] + pads[rank + i];
    }
    Op op = op_of(Form::affine);
    op.float_extra = -1;
    op.parts.push_back(moved(v.tensor, size_of(to), [&](std::int64_t o) {
      std::int64_t flat = 0, step = 1;
      bool inside = true;
      for (std::size_t i = rank; i-- > 0; o /= to[i], step *= v.dims[i]) {
        const std::int64_t at = o % to[i] - pads[i];
        inside = inside && at >= 0 && at < v.dims[i];
        flat += at * step;
      }
      op.bias.push_back(inside ? 0 : filling);
      return inside ? flat : -1;
    }));
    emit(std::move(op), to);
  }

  // outputs = for each of `others` vectors of length m: n sums of weight(o, i) y[at(other, i)]
  Part products(int from, std::int64_t others, std::int64_t n, std::int64_t m, const auto& at, const auto& weight, bool other_first) {
    spend(others, n, m);
    Part p{from, {}, {}, 0};
    for (std::int64_t row = 0; row < others * n; ++row, p.by_output.end_row()) {
      const std::int64_t other = other_first ? row / n : row % others, o = other_first ? row % n : row / others;
      for (std::int64_t i = 0; i < m; ++i) p.by_output.add(at(other, i), weight(o, i));
    }
    return p;
  }

  void matmul() {
    const bool right = input(1).data != nullptr;  // x W; otherwise W x
    const Value& x = computed(right ? 0 : 1);
    const Numbers& w = constant(right ? 1 : 0);
    const Dims& wd = input(right ? 1 : 0).dims;
    need(wd.size() == 2 && !x.dims.empty() && (right || x.dims.size() <= 2), "the checker multiplies a value by a constant matrix");
    const std::int64_t m = wd[right ? 0 : 1], n = wd[right ? 1 : 0], others = size_of(x.dims) / m;
    Dims to = x.dims;
    std::int64_t& side = right ? to.back() : to.front();
    need(side == m, "the dimensions of the product do not fit");
    side = n;
    Op op = op_of(Form::affine);
    op.parts.push_back(products(x.tensor, others, n, m, [&](std::int64_t other, std::int64_t i) { return right ? other * m + i : i * others + other; },
                                [&](std::int64_t o, std::int64_t i) { return right ? w[i * n + o] : w[o * m + i]; }, right));
    emit(std::move(op), to);
  }

  void gemm() {
    const Value& x = computed();
    const Numbers& w = constant(1);
    const Dims& wd = input(1).dims;
    const bool ta = whole("transA", 0) != 0, tb = whole("transB", 0) != 0;
    need(x.dims.size() == 2 && wd.size() == 2, "the checker multiplies a value by a constant matrix");
    const std::int64_t rows = x.dims[ta ? 1 : 0], m = x.dims[ta ? 0 : 1], n = wd[tb ? 0 : 1];
    need(wd[tb ? 1 : 0] == m, "the dimensions of the product do not fit");
    const double alpha = real("alpha", 1), beta = real("beta", 1);
    Op op = op_of(Form::affine);
    op.parts.push_back(products(x.tensor, rows, n, m, [&](std::int64_t r, std::int64_t i) { return ta ? i * rows + r : r * m + i; },
                                [&](std::int64_t o, std::int64_t i) { return product(alpha, w[tb ? o * m + i : i * n + o], op.relative); }, true));
    const Dims to = {rows, n}, strides = has(2) ? broadcast(input(2).dims, to) : Dims{};
    for (std::int64_t o = 0; has(2) && o < rows * n; ++o) {
      double inexact = 0;
      op.bias.push_back(product(beta, constant(2)[dot_position(o, to, strides)], inexact));
      op.bias_error.push_back(inexact * std::fabs(op.bias.back()) + (inexact > 0 ? smallest_normal<double> : 0));
    }
    if (alpha != 1 || beta != 1) op.float_extra = 4;
    emit(std::move(op), to);
  }

  Dims common_shape() const {
    const Dims &a = input(0).dims, &b = input(1).dims;
    Dims to(std::max(a.size(), b.size()), 1);
    for (const Dims* d : {&a, &b})
      for (std::size_t back = 1; back <= d->size(); ++back) to[to.size() - back] = std::max(to[to.size() - back], (*d)[d->size() - back]);
    return to;
  }

  void sum(double sign) {
    const Dims to = common_shape();
    need(!input(0).data || !input(1).data, "arithmetic on constants is not folded");
    Op op = op_of(Form::affine);
    for (int side = 0; side < 2; ++side) {
      const Dims strides = broadcast(input(side).dims, to);
      const auto at = [&](std::int64_t o) { return dot_position(o, to, strides); };
      const double factor = side == 0 ? 1 : sign;
      if (input(side).tensor >= 0) op.parts.push_back(moved(input(side).tensor, size_of(to), at, factor));
      else for (std::int64_t o = 0; o < size_of(to); ++o) op.bias.push_back(factor * constant(side)[at(o)]);
    }
    emit(std::move(op), to);
  }

  void scale(bool divides) {
    const Dims to = common_shape();
    const int side = input(1).data ? 1 : 0;  // of the constant
    need(input(side).data && (side == 1 || !divides), "one factor, or the divisor, must be a constant");
    const Value& x = computed(1 - side);
    const Dims of_x = broadcast(x.dims, to), of_c = broadcast(input(side).dims, to);
    Op op = op_of(Form::affine);
    Part p{x.tensor, {}, {}, 0};
    spend(size_of(to));
    for (std::int64_t o = 0; o < size_of(to); ++o, p.by_output.end_row()) {
      const double c = constant(side)[dot_position(o, to, of_c)];
      p.by_output.add(dot_position(o, to, of_x), divides ? reciprocal(c, op.relative) : c);
    }
    op.parts.push_back(std::move(p));
    emit(std::move(op), to);
  }

  Windows windows(const Dims& dims, const Dims& kernel) const {
    need(dims.size() >= 3 && dims[0] == 1 && kernel.size() + 2 == dims.size(), "the input must have batch 1, channels and spatial dimensions");
    const std::size_t rank = kernel.size();
    Windows w{Dims(dims.begin() + 2, dims.end()), kernel, list("strides", Dims(rank, 1)), list("dilations", Dims(rank, 1)), {}, {}};
    Dims pads = list("pads", Dims(2 * rank, 0));
    const std::string automatic = text("auto_pad");
    need(whole("ceil_mode", 0) == 0 && automatic.find("SAME") == automatic.npos, "ceil_mode and auto_pad SAME are not supported");
    need(w.stride.size() == rank && w.dilation.size() == rank && pads.size() == 2 * rank, "strides, dilations or pads have the wrong length");
    if (automatic == "VALID") pads.assign(2 * rank, 0);
    for (std::size_t i = 0; i < rank; ++i) {
      for (const std::int64_t x : {kernel[i], w.stride[i], w.dilation[i], pads[i] + 1, pads[rank + i] + 1})
        need(x >= 1 && x <= 65536, "kernel, strides, dilations or pads are out of range");
      const std::int64_t room = w.in[i] + pads[i] + pads[rank + i] - (w.dilation[i] * (kernel[i] - 1) + 1);
      need(room >= 0, "the kernel is larger than its input");
      w.begin.push_back(pads[i]), w.out.push_back(room / w.stride[i] + 1);
    }
    w.area = size_of(w.in), w.taps = size_of(w.kernel), w.positions = size_of(w.out);
    return w;
  }
  static Dims pooled(std::int64_t channels, const Windows& w) {
    Dims to = {1, channels};
    to.insert(to.end(), w.out.begin(), w.out.end());
    return to;
  }

  void conv() {
    const Value& x = computed();
    const Numbers& weights = constant(1);
    const Dims& wd = input(1).dims;
    need(wd.size() == x.dims.size() && wd.size() >= 3, "the weights do not fit the input");
    const Dims kernel(wd.begin() + 2, wd.end());
    need(list("kernel_shape", kernel) == kernel, "kernel_shape differs from the weights");
    const Windows win = windows(x.dims, kernel);
    const std::int64_t groups = whole("group", 1), outputs = wd[0], channels = wd[1];
    need(groups >= 1 && groups <= outputs && outputs % groups == 0 && channels * groups == x.dims[1], "the channels do not fit the groups");
    spend(outputs, win.positions, channels, win.taps);
    need(!has(2) || static_cast<std::int64_t>(constant(2).size()) == outputs, "the bias has the wrong length");
    Op op = op_of(Form::affine);
    Part p{x.tensor, {}, {}, 0};
    for (std::int64_t row = 0; row < outputs * win.positions; ++row, p.by_output.end_row()) {
      const std::int64_t f = row / win.positions, first = f / (outputs / groups) * channels;
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t k = 0; k < win.taps; ++k)
          if (const std::int64_t at = win.tap(row % win.positions, k); at >= 0) p.by_output.add((first + c) * win.area + at, weights[(f * channels + c) * win.taps + k]);
      if (has(2)) op.bias.push_back(constant(2)[f]);
    }
    op.parts.push_back(std::move(p));
    emit(std::move(op), pooled(outputs, win));
  }

  void average_pool(bool global) {
    const Value& x = computed();
    need(x.dims.size() >= 3, "the input must have batch 1, channels and spatial dimensions");
    const Windows win = windows(x.dims, global ? Dims(x.dims.begin() + 2, x.dims.end()) : list("kernel_shape"));
    const bool with_pads = !global && whole("count_include_pad", 0) != 0;
    spend(x.dims[1], win.positions, win.taps);
    Op op = op_of(Form::affine);
    op.float_extra = 3;  // the sum, then a division or a product with a rounded reciprocal
    Part p{x.tensor, {}, {}, 0};
    for (std::int64_t row = 0; row < x.dims[1] * win.positions; ++row, p.by_output.end_row()) {
      std::int64_t inside = 0;
      for (std::int64_t k = 0; k < win.taps; ++k) inside += win.tap(row % win.positions, k) >= 0;
      const double weight = reciprocal(static_cast<double>(with_pads ? win.taps : inside), op.relative);
      for (std::int64_t k = 0; k < win.taps; ++k)
        if (const std::int64_t at = win.tap(row % win.positions, k); at >= 0) p.by_output.add(row / win.positions * win.area + at, weight);
    }
    op.parts.push_back(std::move(p));
    emit(std::move(op), pooled(x.dims[1], win));
  }

  void max_pool() {
    const Value& x = computed();
    const Windows win = windows(x.dims, list("kernel_shape"));
    spend(x.dims[1], win.positions, win.taps);
    Op op = op_of(Form::max_pool, x.tensor, static_cast<std::size_t>(2 * win.taps));
    op.window = static_cast<std::size_t>(win.taps);
    for (std::int64_t row = 0; row < x.dims[1] * win.positions; ++row) {
      bool any = false;
      for (std::int64_t k = 0; k < win.taps; ++k) {
        const std::int64_t at = win.tap(row % win.positions, k);
        any = any || at >= 0;
        op.taps.push_back(at < 0 ? -1 : row / win.positions * win.area + at);
      }
      need(any, "a window lies in the padding only");
    }
    emit(std::move(op), pooled(x.dims[1], win));
  }

  // z = (y - mean) scale / sqrt(var + eps) + shift: the coefficient is enclosed, not exact: six roundings.
  void batch_normalization() {
    const Value& x = computed();
    need(x.dims.size() >= 2 && whole("training_mode", 0) == 0 && whole("spatial", 1) == 1, "only inference is supported");
    const std::size_t channels = static_cast<std::size_t>(x.dims[1]);
    for (int i = 1; i <= 4; ++i) need(constant(i).size() == channels, "a parameter has the wrong length");
    const double eps = real("epsilon", 1e-5F);
    const std::int64_t n = size_of(x.dims), inner = size_of(Dims(x.dims.begin() + 2, x.dims.end()));
    Op op = op_of(Form::affine);
    op.relative = 0x1p-50;
    op.has_float_rule = false;
    spend(n);
    Part p{x.tensor, {}, {}, 0};
    for (std::int64_t o = 0; o < n; ++o, p.by_output.end_row()) {
      const std::size_t c = static_cast<std::size_t>(o / inner) % channels;
      const double scale = constant(1)[c], shift = constant(2)[c], mean = constant(3)[c], variance = constant(4)[c];
      const double w = scale / std::sqrt(variance + eps), offset = mean * w;
      need(variance >= 0 && eps >= 0 && variance + eps > 1e-100 && std::isfinite(offset) && (w == 0 || std::fabs(w) > 1e-200), "a variance is negative or a scale is out of range");
      p.by_output.add(o, w);
      op.bias.push_back(shift - offset);
      op.bias_error.push_back(0x1p-49 * (std::fabs(shift) + std::fabs(offset)) + smallest_normal<double>);
    }
    op.parts.push_back(std::move(p));
    emit(std::move(op), x.dims);
  }

  // a y + (1 - a) relu(y)
  void leaky_relu() {
    const Value x = computed();
    const double a = real("alpha", 0.01F);
    need(a >= 0 && a <= 1, "alpha must lie between 0 and 1");
    const std::int64_t n = size_of(x.dims);
    const int relu = add(op_of(Form::relu, x.tensor, 1), node_->output(0) + "#relu", n);
    Op op = op_of(Form::affine);
    op.parts = {moved(x.tensor, n, itself, a), moved(relu, n, itself, 1 - a)};
    op.relative = 0x1p-52;
    emit(std::move(op), x.dims);
  }

  // Tanh(y) = 2 sigmoid(2 y) - 1, exactly. Nothing is stated about a deployed exp.
  void sigmoid(bool tanh) {
    const Value x = computed();
    const std::int64_t n = size_of(x.dims);
    const auto twice = [&](int from, double shift) {
      Op op = op_of(Form::affine);
      op.parts.push_back(moved(from, n, itself, 2));
      op.bias.assign(static_cast<std::size_t>(n), shift);
      op.has_float_rule = false;
      return op;
    };
    Op op = op_of(Form::sigmoid, tanh ? add(twice(x.tensor, 0), node_->output(0) + "#doubled", n) : x.tensor, 2);
    op.slope_unit = 0.25;
    op.has_float_rule = false;
    if (!tanh) return emit(std::move(op), x.dims);
    emit(twice(add(std::move(op), node_->output(0) + "#sigmoid", n), -1), x.dims);
  }
};

}  // namespace

Model read_model(std::string_view bytes, std::int64_t max_elements) {
  onnx::ModelProto proto;
  if (bytes.size() > std::numeric_limits<int>::max() || !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    throw Refusal("model", "the file is not an ONNX model");
  std::int64_t opset = 0;
  for (const auto& set : proto.opset_import())
    if (set.domain().empty() || set.domain() == "ai.onnx") opset = set.version();
  if (opset < 7) throw Refusal("model", "the operator set is too old; 7 or later is read");
  return std::move(Reader(proto.graph(), opset, max_elements).model);
}

}  // namespace boundlight::check
