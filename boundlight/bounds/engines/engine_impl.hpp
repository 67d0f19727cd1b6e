// The engine of one back end: holds the device and, per precision, the network's kernels (made when first needed).
#pragma once

#include "boundlight/bounds/engines/model.hpp"

namespace boundlight::BL_NS {

class EngineImpl final : public Engine {
 public:
  explicit EngineImpl(std::shared_ptr<const Network> network) : network_(std::move(network)) {}

  const Network& network() const override { return *network_; }
  std::string device() const override { return Device::kName; }
  Result<std::vector<std::vector<double>>> evaluate(const std::vector<double>& inputs, std::int64_t batch, const std::vector<ValueId>& wanted,
                                                    Precision precision) override;
  Result<Gradient> gradient(const std::vector<double>& inputs, std::int64_t batch, ValueId value, const WeightOf& weight_of, Precision precision,
                            ValueId wrt) override;
  Result<BoundResult> bound(const Regions& regions, const Forms& forms, const BoundOptions& options, const ValueBoxes* known) override;
  Result<FamilyResult> family(const BoxFamily& family, const Forms& forms, Tier tier, const BoundOptions& options) override;
  Result<void> search(SplitSearch& search) override;
  Result<ValueBoxes> boxes(const Regions& regions, const BoundOptions& options, const ValueBoxes* known) override;

  template <class T> Result<Model<T>*> model();
  struct Models {
    Model<float>* single = nullptr;
    Model<double>* dual = nullptr;
  };
  Result<Models> models_for(const BoundOptions& options);

 private:
  template <class T> Result<void> search_as(SplitSearch& search);
  Result<void> recompute(const BoxFamily& family, const Forms& forms, const BoundOptions& options, FamilyResult& result);
  template <class T> Result<std::vector<std::vector<double>>> evaluate_as(const std::vector<double>& inputs, std::int64_t batch, const std::vector<ValueId>& wanted);
  template <class T>
  Result<Gradient> gradient_as(const std::vector<double>& inputs, std::int64_t batch, ValueId value, const WeightOf& weight_of, ValueId wrt);

  std::shared_ptr<const Network> network_;
  Device device_;
  std::unique_ptr<Model<float>> single_;
  std::unique_ptr<Model<double>> dual_;
};

}  // namespace boundlight::BL_NS
