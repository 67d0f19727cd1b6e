// InputRegion: the last step of linear bounds, min over the region of A x. Candidates, all sound, the best is taken per row:
//   box         sum_i min(A_i l_i, A_i u_i)
//   ball        A.c - ||A s||_q   with 1/p + 1/q = 1, for { |(x - c) / s|_p <= 1 }
//   edit        A.anchor + sum_j min over [p_l, p_u] of (A.direction_j) p_j
//   half-spaces max over lambda >= 0 of  min over the box of (A + sum_h lambda_h n_h) x - sum_h lambda_h o_h    (any lambda is valid)
// Every sum is in double and charged by gamma_n times the sum of its terms' sizes.
#pragma once

#include "boundlight/bounds/engines/relaxations.hpp"

namespace boundlight::BL_NS {

template <class T>
class InputRegion {
 public:
  // Keeps a reference to the relaxations' boxes; copies the rest to the device.
  InputRegion(const Model<T>& model, const Regions& regions, BoundSettings settings);

  // Rows on the inputs (rows[k] on input k, empty: zero), dense or windowed: adds the minimum to bias, the error to charge.
  void minimum(Device& d, Relaxations<T>& boxes, std::vector<RowBlock<T>>& rows, std::int64_t count, RowAccounts accounts) const;

  // Coefficients in the edit's parameters, [rows][directions + 1] with the constant last, and the error of using them. Host.
  struct EditPlanes {
    std::vector<double> coefficient, error;
  };
  EditPlanes edit_planes(Device& d, std::vector<RowBlock<T>>& rows, std::int64_t count, const std::int32_t* box) const;

  // The box alone says everything.
  bool plain() const { return !ball_ && directions_ == 0 && faces_ == 0; }
  std::int64_t directions() const { return directions_; }

  // The candidates; public because functors for a GPU may not be made in private functions.
  struct Sum {
    Buffer<double> value, error;
  };
  Sum new_sum(Device& d, std::int64_t rows) const;
  void add_box(Device& d, Relaxations<T>& boxes, const std::vector<RowBlock<T>>& rows, RowAccounts accounts, double* value, double* error) const;
  void add_ball(Device& d, const std::vector<RowBlock<T>>& rows, const std::int32_t* box, const Sum& sum) const;
  void add_edit(Device& d, const std::vector<RowBlock<T>>& rows, const std::int32_t* box, const Sum& sum) const;
  void add_faces(Device& d, const std::vector<RowBlock<T>>& rows, const std::int32_t* box, const Sum& sum) const;

 private:
  const Model<T>& model_;
  BoundSettings settings_;
  std::int64_t inputs_ = 0;
  Buffer<double> lower_, upper_;              // [batch][inputs]; for half-spaces
  bool ball_ = false, l2_ = false;
  Buffer<double> centre_, scale_;             // [batch][inputs]
  std::int64_t directions_ = 0;
  Buffer<double> anchor_, direction_, p_lower_, p_upper_;
  std::int64_t faces_ = 0;                    // most half-spaces of one box
  Buffer<double> normal_, face_offset_;       // [batch][faces][inputs], [batch][faces]; unused faces are zero
};

}  // namespace boundlight::BL_NS
