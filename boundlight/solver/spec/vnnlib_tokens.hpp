// Tokens of a VNN-LIB file: parentheses and words with their line and column; blanks and comments (";" to the end of the line)
// are skipped. Views into the text, which must outlive them.
#pragma once

#include <cstddef>
#include <string_view>

namespace boundlight::vnnlib {

struct Token {
  std::string_view text;  // empty at the end of the file
  int line = 1, column = 1;
};

class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text) { advance(); }
  const Token& peek() const { return token_; }
  Token take() {
    const Token t = token_;
    advance();
    return t;
  }

 private:
  void step() {
    if (text_[at_] == '\n') ++line_, column_ = 0;
    ++at_;
    ++column_;
  }
  static bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
  void advance() {
    while (at_ < text_.size() && (blank(text_[at_]) || text_[at_] == ';')) {
      if (text_[at_] == ';')
        while (at_ < text_.size() && text_[at_] != '\n') step();
      else
        step();
    }
    token_ = {{}, line_, column_};
    const std::size_t start = at_;
    if (at_ == text_.size()) return;
    if (text_[at_] == '(' || text_[at_] == ')')
      step();
    else
      while (at_ < text_.size() && !blank(text_[at_]) && text_[at_] != '(' && text_[at_] != ')' && text_[at_] != ';') step();
    token_.text = text_.substr(start, at_ - start);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1, column_ = 1;
  Token token_;
};

}  // namespace boundlight::vnnlib
