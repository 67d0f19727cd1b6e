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
  using Rule = void (Reader::*)();
  static const std::map<std::string_view, Rule>& rules() {
    using R = Reader;
    static const std::map<std::string_view, Rule> all = {
        {"Constant", &R::constant_node}, {"Identity", &R::identity}, {"Dropout", &R::identity},
        {"Flatten", &R::flatten}, {"Reshape", &R::reshape}, {"Squeeze", &R::squeeze}, {"Unsqueeze", &R::squeeze},
        {"Transpose", &R::transpose}, {"Pad", &R::pad}, {"MatMul", &R::product}, {"Gemm", &R::product},
        {"Add", &R::sum}, {"Sub", &R::sum}, {"Mul", &R::scale}, {"Div", &R::scale}, {"Conv", &R::conv},
        {"AveragePool", &R::pool}, {"GlobalAveragePool", &R::pool}, {"MaxPool", &R::pool},
        {"BatchNormalization", &R::batch_normalization}, {"Relu", &R::relu}, {"LeakyRelu", &R::relu},
        {"Sigmoid", &R::sigmoid}, {"Tanh", &R::sigmoid}};
    return all;
  }
  void emit(const Dims& dims) { define(node_->output(0), {dims, add(std::move(op_), node_->output(0), size_of(dims)), nullptr}); }
  bool named(const char* type) const { return node_->op_type() == type; }

  void read_node() {
    op_ = op_of(Form::affine);
    const bool ours = node_->domain().empty() || node_->domain() == "ai.onnx";
    need(node_->output_size() > 0, "has no output");
    for (int i = 1; i < node_->output_size(); ++i) need(node_->output(i).empty(), "only the first output is supported");
    const auto rule = rules().find(node_->op_type());
    (this->*(ours && rule != rules().end() ? rule->second : &Reader::unknown))();
  }

  // No rule: a constant whose error is infinite, unless the certificate brings a box for it, as a trusted step.
  void unknown() {
    need(infos_.count(node_->output(0)), "there is no rule for this operator, and the model does not declare its output's shape");
    const Dims dims = declared(*infos_.at(node_->output(0)));
    op_.has_rule = op_.has_float_rule = false;
    op_.bias_error.assign(static_cast<std::size_t>(size_of(dims)), std::numeric_limits<double>::infinity());
    emit(dims);
  }

  void constant_node() {
    const Attribute* a = attribute("value", Attribute::TENSOR);
    need(a != nullptr, "the checker reads constants given as a tensor");
    define(node_->output(0), constant_of(a->t()));
  }
  void identity() {
    need(named("Identity") || !has(2), "a training mode is not supported");
    same_data(input(0).dims);
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
  void squeeze() {
    const bool removes = named("Squeeze");
    Dims to = input(0).dims, axes = opset_ >= 13 && has(1) ? whole(1) : list("axes");
    const auto rank = static_cast<std::int64_t>(to.size() + (removes ? 0 : axes.size()));
    for (std::int64_t& a : axes) a += a < 0 ? rank : 0;
    std::sort(axes.begin(), axes.end());
    if (removes && axes.empty()) std::erase(to, 1);
    if (removes) std::reverse(axes.begin(), axes.end());
    for (const std::int64_t a : axes) {
      need(a >= 0 && a < static_cast<std::int64_t>(to.size()) + !removes && (!removes || to[a] == 1), "an axis is out of range, named twice, or not 1 long");
      if (removes) to.erase(to.begin() + a);
      else to.insert(to.begin() + a, 1);
    }
    need(std::adjacent_find(axes.begin(), axes.end()) == axes.end(), "an axis is named twice");
    same_data(to);
  }

  // Data are only moved: z[o] = y[source(o)], 0 where that is -1.
  void move(const Value& from, const Dims& to, const auto& source) {
    op_.float_extra = -1;
    op_.parts.push_back(moved(from.tensor, size_of(to), source));
    emit(to);
  }
  void transpose() {
    const Value v = computed();
    Dims order(v.dims.size()), to, strides;
    std::iota(order.rbegin(), order.rend(), 0);
    const Dims all = broadcast(v.dims, v.dims), perm = list("perm", order);
    need(perm.size() == order.size() && std::is_permutation(perm.begin(), perm.end(), order.begin()), "perm is not a permutation");
    for (const std::int64_t i : perm) to.push_back(v.dims[i]), strides.push_back(all[i]);
    move(v, to, [&](std::int64_t o) { return dot_position(o, to, strides); });
  }
  void pad() {
    const Value v = computed();
    const std::size_t rank = v.dims.size();
    const Dims pads = opset_ >= 11 ? whole(1) : list("pads"), ones(rank, 1);
    const double filling = opset_ < 11 ? real("value", 0) : has(2) ? constant(2).at(0) : 0;
    need((text("mode").empty() || text("mode") == "constant") && !has(3) && pads.size() == 2 * rank, "only constant padding of all axes is supported");
    Windows win{v.dims, ones, ones, ones, pads, {}};
    for (std::size_t i = 0; i < rank; ++i) {
      need(std::min(pads[i], pads[rank + i]) >= 0 && std::max(pads[i], pads[rank + i]) <= max_elements_, "negative or huge pads are not supported");
      win.out.push_back(v.dims[i] + pads[i] + pads[rank + i]);
    }
    for (std::int64_t o = 0; o < size_of(win.out); ++o) op_.bias.push_back(win.tap(o, 0) < 0 ? filling : 0);
    move(v, win.out, [&](std::int64_t o) { return win.tap(o, 0); });
  }

  // x W for a constant matrix W of m rows and n columns. Gemm: alpha x W + beta C, where x and W may stand transposed. MatMul: x W
  // with x of any rank, or W x, where both stand transposed.
  void product() {
    const bool gemm = named("Gemm"), right = gemm || input(1).data != nullptr;
    const bool tx = !right || whole("transA", 0) != 0, tw = !right || whole("transB", 0) != 0;
    const double alpha = real("alpha", 1), beta = real("beta", 1);
    const Value& x = computed(right ? 0 : 1);
    const Numbers& w = constant(right ? 1 : 0);
    const Dims& wd = input(right ? 1 : 0).dims;
    need(wd.size() == 2 && !x.dims.empty() && (gemm ? x.dims.size() == 2 : right || x.dims.size() <= 2), "the checker multiplies a value by a constant matrix");
    const std::int64_t m = wd[tw ? 1 : 0], n = wd[tw ? 0 : 1], others = size_of(x.dims) / m;
    Dims to = x.dims;
    std::int64_t& side = tx ? to.front() : to.back();
    need(side == m, "the dimensions of the product do not fit");
    side = n;
    if (gemm) to = {others, n};
    op_.parts.push_back(rows(x.tensor, others * n, m, [&](std::int64_t row, Sparse& terms) {
      const std::int64_t other = right ? row / n : row % others, o = right ? row % n : row / others;
      for (std::int64_t i = 0; i < m; ++i) terms.add(tx ? i * others + other : other * m + i, rounded_product(alpha, w[tw ? o * m + i : i * n + o], op_.relative));
    }));
    const Dims strides = gemm && has(2) ? broadcast(input(2).dims, to) : Dims{};
    for (std::int64_t o = 0; gemm && has(2) && o < others * n; ++o) {
      double inexact = 0;
      op_.bias.push_back(rounded_product(beta, constant(2)[dot_position(o, to, strides)], inexact));
      op_.bias_error.push_back(inexact * std::fabs(op_.bias.back()) + (inexact > 0 ? smallest_normal<double> : 0));
    }
    if (alpha != 1 || beta != 1) op_.float_extra = 4;
    emit(to);
  }

  Dims common_shape() const {
    const Dims &a = input(0).dims, &b = input(1).dims;
    Dims to(std::max(a.size(), b.size()), 1);
    for (const Dims* d : {&a, &b})
      for (std::size_t back = 1; back <= d->size(); ++back) to[to.size() - back] = std::max(to[to.size() - back], (*d)[d->size() - back]);
    return to;
  }
  void sum() {
    const Dims to = common_shape();
    need(!input(0).data || !input(1).data, "arithmetic on constants is not folded");
    for (int side = 0; side < 2; ++side) {
      const Dims strides = broadcast(input(side).dims, to);
      const auto at = [&](std::int64_t o) { return dot_position(o, to, strides); };
      const double factor = side == 1 && named("Sub") ? -1 : 1;
      if (input(side).tensor >= 0) op_.parts.push_back(moved(input(side).tensor, size_of(to), at, factor));
      else for (std::int64_t o = 0; o < size_of(to); ++o) op_.bias.push_back(factor * constant(side)[at(o)]);
    }
    emit(to);
  }
  void scale() {
    const Dims to = common_shape();
    const bool divides = named("Div");
    const int side = input(1).data ? 1 : 0;  // of the constant
    need(input(side).data && (side == 1 || !divides), "one factor, or the divisor, must be a constant");
    const Value& x = computed(1 - side);
    const Dims of_x = broadcast(x.dims, to), of_c = broadcast(input(side).dims, to);
    op_.parts.push_back(rows(x.tensor, size_of(to), 1, [&](std::int64_t o, Sparse& row) {
      const double c = constant(side)[dot_position(o, to, of_c)];
      row.add(dot_position(o, to, of_x), divides ? reciprocal(c, op_.relative) : c);
    }));
    emit(to);
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
  void emit(std::int64_t channels, const Windows& w) {
    Dims to = {1, channels};
    to.insert(to.end(), w.out.begin(), w.out.end());
    emit(to);
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
    need(!has(2) || static_cast<std::int64_t>(constant(2).size()) == outputs, "the bias has the wrong length");
    op_.parts.push_back(rows(x.tensor, outputs * win.positions, channels * win.taps, [&](std::int64_t o, Sparse& row) {
      const std::int64_t f = o / win.positions, first = f / (outputs / groups) * channels;
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t k = 0; k < win.taps; ++k)
          if (const std::int64_t at = win.tap(o % win.positions, k); at >= 0) row.add((first + c) * win.area + at, weights[(f * channels + c) * win.taps + k]);
    }));
    for (std::int64_t o = 0; has(2) && o < outputs * win.positions; ++o) op_.bias.push_back(constant(2)[o / win.positions]);
    emit(outputs, win);
  }

  void pool() {
    const Value& x = computed();
    const bool global = named("GlobalAveragePool"), largest = named("MaxPool"), with_pads = !global && whole("count_include_pad", 0) != 0;
    need(x.dims.size() >= 3, "the input must have batch 1, channels and spatial dimensions");
    const Windows win = windows(x.dims, global ? Dims(x.dims.begin() + 2, x.dims.end()) : list("kernel_shape"));
    if (largest) op_ = op_of(Form::max_pool, x.tensor, static_cast<std::size_t>(2 * win.taps));
    op_.float_extra = 3;  // the sum, then a division or a product with a rounded reciprocal
    op_.parts.push_back(rows(x.tensor, x.dims[1] * win.positions, win.taps, [&](std::int64_t o, Sparse& row) {
      Dims inside;
      for (std::int64_t k = 0; k < win.taps; ++k)
        if (const std::int64_t at = win.tap(o % win.positions, k); at >= 0) inside.push_back(o / win.positions * win.area + at);
      need(!inside.empty(), "a window lies in the padding only");
      const auto number = static_cast<double>(with_pads ? win.taps : static_cast<std::int64_t>(inside.size()));
      for (const std::int64_t at : inside) row.add(at, largest ? 1 : reciprocal(number, op_.relative));
    }));
    emit(x.dims[1], win);
  }

  // z = (y - mean) scale / sqrt(var + eps) + shift: the coefficient is enclosed, not exact: six roundings.
  void batch_normalization() {
    const Value& x = computed();
    need(x.dims.size() >= 2 && whole("training_mode", 0) == 0 && whole("spatial", 1) == 1, "only inference is supported");
    const std::size_t channels = static_cast<std::size_t>(x.dims[1]);
    for (int i = 1; i <= 4; ++i) need(constant(i).size() == channels, "a parameter has the wrong length");
    const double eps = real("epsilon", 1e-5F);
    const std::int64_t inner = size_of(Dims(x.dims.begin() + 2, x.dims.end()));
    op_.relative = 0x1p-50;
    op_.has_float_rule = false;
    op_.parts.push_back(rows(x.tensor, size_of(x.dims), 1, [&](std::int64_t o, Sparse& row) {
      const std::size_t c = static_cast<std::size_t>(o / inner) % channels;
      const double scale = constant(1)[c], shift = constant(2)[c], mean = constant(3)[c], variance = constant(4)[c];
      const double w = scale / std::sqrt(variance + eps), offset = mean * w;
      need(variance >= 0 && eps >= 0 && variance + eps > 1e-100 && std::isfinite(offset) && (w == 0 || std::fabs(w) > 1e-200), "a variance is negative or a scale is out of range");
      row.add(o, w);
      op_.bias.push_back(shift - offset);
      op_.bias_error.push_back(0x1p-49 * (std::fabs(shift) + std::fabs(offset)) + smallest_normal<double>);
    }));
    emit(x.dims);
  }

  // LeakyRelu: a y + (1 - a) relu(y)
  void relu() {
    const Value x = computed();
    const double a = named("Relu") ? 0 : real("alpha", 0.01F);
    need(a >= 0 && a <= 1, "alpha must lie between 0 and 1");
    const std::int64_t n = size_of(x.dims);
    op_ = op_of(Form::relu, x.tensor, 1);
    if (named("Relu")) return emit(x.dims);
    const int relu = add(std::move(op_), node_->output(0) + "#relu", n);
    op_ = op_of(Form::affine);
    op_.parts = {moved(x.tensor, n, itself, a), moved(relu, n, itself, 1 - a)};
    op_.relative = 0x1p-52;
    emit(x.dims);
  }

  // Tanh(y) = 2 sigmoid(2 y) - 1, exactly. Nothing is stated about a deployed exp.
  void sigmoid() {
    const Value x = computed();
    const bool tanh = named("Tanh");
    const std::int64_t n = size_of(x.dims);
    const auto twice = [&](int from, double shift) {
      op_ = op_of(Form::affine);
      op_.parts.push_back(moved(from, n, itself, 2));
      op_.bias.assign(static_cast<std::size_t>(n), shift);
      op_.has_float_rule = false;
      return op_;
    };
    op_ = op_of(Form::sigmoid, tanh ? add(twice(x.tensor, 0), node_->output(0) + "#doubled", n) : x.tensor, 2);
    op_.slope_unit = 0.25;
    op_.has_float_rule = false;
    if (tanh) twice(add(std::move(op_), node_->output(0) + "#sigmoid", n), -1);
    emit(x.dims);
  }

  Op op_;  // that the node at hand becomes
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
