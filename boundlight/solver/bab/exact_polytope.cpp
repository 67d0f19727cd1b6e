#include "boundlight/solver/bab/exact_polytope.hpp"

#include <algorithm>

namespace boundlight::bab {
namespace {

using Integer = boost::multiprecision::cpp_int;

// Rows: denominator * basic = m[r][n] + sum_j m[r][j] nonbasic_j; a point is what nonbasic = 0 gives.
class Dictionary {
 public:
  Dictionary(const std::vector<Integer>& width, const std::vector<IntegerForm>& rows, const IntegerForm& form) : n_(width.size()) {
    for (std::size_t i = 0; i < n_; ++i) {
      IntegerForm row(n_ + 1, 0);
      row[i] = -1;
      row[n_] = width[i];
      m_.push_back(std::move(row));
      column_.push_back(i);  // variable i itself
    }
    m_.insert(m_.end(), rows.begin(), rows.end());
    m_.push_back(form);
    for (std::size_t r = 0; r < m_.size(); ++r) basic_.push_back(n_ + r);  // slack r is variable n + r
  }

  // Makes all rows but the last nonnegative; false: impossible.
  bool feasible() {
    std::vector<bool> counts(m_.size(), false);
    for (std::size_t r = 0; r + 1 < m_.size(); ++r) counts[r] = m_[r][n_] >= 0;
    for (std::size_t slack = 0; slack + 1 < m_.size(); ++slack) {
      // Variables change places: the row of slack `slack` is looked up anew, and is nonnegative where it is not basic.
      for (;;) {
        const std::size_t r = row_of(n_ + slack);
        if (r == m_.size() || m_[r][n_] >= 0) break;
        if (!ascend(r, counts)) return false;
      }
      const std::size_t r = row_of(n_ + slack);
      if (r < m_.size()) counts[r] = true;
    }
    return true;
  }

  void maximise() {
    std::vector<bool> counts(m_.size(), true);
    counts.back() = false;
    while (ascend(m_.size() - 1, counts)) {}
  }

  Rational value() const { return Rational(m_.back()[n_], denominator_); }
  std::vector<Rational> point() const {
    std::vector<Rational> t(n_, 0);
    for (std::size_t r = 0; r < m_.size(); ++r)
      if (basic_[r] < n_) t[basic_[r]] = Rational(m_[r][n_], denominator_);
    return t;
  }

 private:
  std::size_t row_of(std::size_t variable) const { return static_cast<std::size_t>(std::find(basic_.begin(), basic_.end(), variable) - basic_.begin()); }

  // One step (Bland) that raises row `goal` and keeps the rows that count nonnegative; false: it is at its greatest. A goal below 0
  // is a row like the others once it passes 0: it leaves there.
  bool ascend(std::size_t goal, std::vector<bool>& counts) {
    std::size_t enter = n_;
    for (std::size_t j = 0; j < n_; ++j)
      if (m_[goal][j] > 0 && (enter == n_ || column_[j] < column_[enter])) enter = j;
    if (enter == n_) return false;
    std::size_t leave = m_.size();
    for (std::size_t r = 0; r < m_.size(); ++r) {
      if (!counts[r] || m_[r][enter] >= 0) continue;
      if (leave == m_.size()) {
        leave = r;
        continue;
      }
      const Integer a = m_[r][n_] * -m_[leave][enter], b = m_[leave][n_] * -m_[r][enter];
      if (a < b || (a == b && basic_[r] < basic_[leave])) leave = r;
    }
    const bool infeasible = goal + 1 < m_.size();
    if (infeasible && (leave == m_.size() || -m_[goal][n_] * -m_[leave][enter] <= m_[leave][n_] * m_[goal][enter])) {
      leave = goal;  // it reaches 0 first
      counts[goal] = true;
    }
    pivot(leave, enter);
    return true;
  }

  void pivot(std::size_t r, std::size_t c) {
    const Integer p = m_[r][c];
    const int sign = p < 0 ? -1 : 1;
    for (std::size_t i = 0; i < m_.size(); ++i) {
      if (i == r) continue;
      const Integer factor = m_[i][c];
      for (std::size_t j = 0; j <= n_; ++j) {
        if (j == c) continue;
        m_[i][j] = (p * m_[i][j] - factor * m_[r][j]) / denominator_ * sign;
      }
      m_[i][c] = factor * sign;
    }
    for (std::size_t j = 0; j <= n_; ++j)
      if (j != c) m_[r][j] = -m_[r][j] * sign;
    m_[r][c] = denominator_ * sign;
    denominator_ = p * sign;
    std::swap(basic_[r], column_[c]);
  }

  std::size_t n_;
  std::vector<IntegerForm> m_;
  std::vector<std::size_t> basic_, column_;
  Integer denominator_ = 1;
};

}  // namespace

IntegerForm reduced(IntegerForm form) {
  Integer common = 0;
  for (const Integer& x : form) common = gcd(common, x);
  if (common > 1)
    for (Integer& x : form) x /= common;
  return form;
}

void ExactPolytope::push(IntegerForm form) { rows_.push_back(reduced(std::move(form))); }

std::optional<ExactPolytope::Most> ExactPolytope::most(const IntegerForm& form) const {
  ++solved_;
  Dictionary d(width_, rows_, form);
  if (!d.feasible()) return std::nullopt;
  d.maximise();
  return Most{d.value(), d.point()};
}

bool ExactPolytope::may_be_positive(const IntegerForm& form) const {
  Integer sum = form.back();
  for (std::size_t i = 0; i < width_.size(); ++i)
    if (form[i] > 0) sum += form[i] * width_[i];
  return sum > 0;
}

}  // namespace boundlight::bab
