// Engine::bound and Engine::boxes: models of the precisions needed, then a Bounder.
#include <new>

#include "boundlight/bounds/engines/bounder.hpp"
#include "boundlight/bounds/engines/engine_impl.hpp"
#include "boundlight/bounds/ops/op.hpp"

namespace boundlight::BL_NS {
namespace {

Error no_memory(const Network& network) {
  return {ErrorKind::out_of_memory, network.source, "there is not enough memory for this many regions at once; ask about fewer, or lower --memory"};
}

}  // namespace

Result<BoundResult> EngineImpl::bound(const Regions& regions, const Forms& forms, const BoundOptions& options, const ValueBoxes* known) {
  try {
    BL_TRY(models, models_for(options));
    return Bounder(device_, *network_, models.single, models.dual, options, known).bound(regions, forms);
  } catch (const std::bad_alloc&) {
    return no_memory(*network_);
  }
}

Result<ValueBoxes> EngineImpl::boxes(const Regions& regions, const BoundOptions& options, const ValueBoxes* known) {
  try {
    BL_TRY(models, models_for(options));
    return Bounder(device_, *network_, models.single, models.dual, options, known).boxes(regions, network_->outputs);
  } catch (const std::bad_alloc&) {
    return no_memory(*network_);
  }
}

// A precision whose kernels are not needed is not made: their weights take memory.
Result<EngineImpl::Models> EngineImpl::models_for(const BoundOptions& options) {
  Models m;
  if (options.semantics == Semantics::float32_any_order) {
    for (const NetworkValue& v : network_->values)
      if (!v.constant && (v.type == DataType::float16 || v.type == DataType::bfloat16))
        return Error{ErrorKind::unsupported, network_->source,
                     "value '" + v.name + "' is a 16-bit float, whose evaluations binary32 charges do not cover; ask for --semantics real"};
    for (const NetworkNode& node : network_->nodes)
      if (!covers_deployment(*node.op))
        return Error{ErrorKind::unsupported, network_->place(node.node),
                     "no float32 evaluation of this operator is covered; ask for --semantics real"};
  }
  const bool rows = options.method != Method::interval && !options.intermediate_by_interval;
  if (options.precision == Precision::single || (options.precision == Precision::automatic && rows)) {
    BL_TRY(made, model<float>());
    m.single = made;
  }
  if (options.precision != Precision::single) {
    BL_TRY(made, model<double>());
    m.dual = made;
  }
  return m;
}

}  // namespace boundlight::BL_NS
