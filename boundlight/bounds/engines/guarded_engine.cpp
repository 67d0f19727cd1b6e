#include "boundlight/bounds/engines/guarded_engine.hpp"

#include <utility>

#include "boundlight/device/error.hpp"

namespace boundlight {
namespace {

class GuardedEngine final : public Engine {
 public:
  explicit GuardedEngine(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

  const Network& network() const override { return engine_->network(); }
  std::string device() const override { return engine_->device(); }
  Result<std::vector<std::vector<double>>> evaluate(const std::vector<double>& inputs, std::int64_t batch, const std::vector<ValueId>& wanted,
                                                    Precision precision) override {
    return guard([&] { return engine_->evaluate(inputs, batch, wanted, precision); });
  }
  Result<Gradient> gradient(const std::vector<double>& inputs, std::int64_t batch, ValueId value, const WeightOf& weight_of, Precision precision,
                            ValueId wrt) override {
    return guard([&] { return engine_->gradient(inputs, batch, value, weight_of, precision, wrt); });
  }
  Result<BoundResult> bound(const Regions& regions, const Forms& forms, const BoundOptions& options, const ValueBoxes* known) override {
    return guard([&] { return engine_->bound(regions, forms, options, known); });
  }
  Result<FamilyResult> family(const BoxFamily& family, const Forms& forms, Tier tier, const BoundOptions& options) override {
    return guard([&] { return engine_->family(family, forms, tier, options); });
  }
  Result<void> search(SplitSearch& search) override {
    return guard([&] { return engine_->search(search); });
  }
  Result<ValueBoxes> boxes(const Regions& regions, const BoundOptions& options, const ValueBoxes* known) override {
    return guard([&] { return engine_->boxes(regions, options, known); });
  }

 private:
  template <class Call>
  std::invoke_result_t<Call> guard(const Call& call) {
    try {
      return call();
    } catch (const DeviceError& e) {
      return Error{ErrorKind::unsupported, "device " + device(), std::string("it failed in the middle of its work: ") + e.what() + "; use --device cpu"};
    }
  }

  std::unique_ptr<Engine> engine_;
};

}  // namespace

std::unique_ptr<Engine> guarded(std::unique_ptr<Engine> engine) { return std::make_unique<GuardedEngine>(std::move(engine)); }

}  // namespace boundlight
