// Classifies flowers with a compiled model: compile, save a plan, load it, run, and what happens when something is
// wrong.
//   classify [flowers.onnx]
#include <intaglio/intaglio.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace {

const char* const kNames[] = {"setosa", "versicolor", "virginica"};
// Sepal length and width, petal length and width in cm, and the class of each.
const float kFlowers[][4] = {{5.1f, 3.5f, 1.4f, 0.2f}, {5.6f, 2.7f, 4.2f, 1.3f}, {6.3f, 3.3f, 6.0f, 2.5f}};
constexpr std::size_t kCount = 3;

// The index of the most likely class of each flower.
std::vector<std::size_t> classify(const intaglio::Model& model, const intaglio::Tensor& flowers,
                                  intaglio::Tensor& classes) {
  classes = model.run({{"flowers", flowers}}).front().tensor;
  const auto values = classes.values<float>();
  std::vector<std::size_t> best;
  for (std::size_t i = 0; i < kCount; ++i) {
    const auto row = values.subspan(i * 3, 3);
    best.push_back(static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin()));
    std::printf("flower %zu: %-10s (%.1f %%)\n", i, kNames[best.back()], 100.0 * static_cast<double>(row[best.back()]));
  }
  return best;
}

int run(const std::string& path) {
  // Compiling reads the file, fuses and packs; nothing in a model file is ever executed as code.
  const intaglio::Model model = intaglio::compile(path);
  for (const intaglio::PortInfo& input : model.inputs()) {
    std::printf("input %s:", input.name.c_str());
    for (const intaglio::DimInfo& dim : input.dims) std::printf(" %s", dim.text.c_str());
    std::printf("\n");
  }

  // A tensor can hold a copy of data, or refer to memory of the caller (Tensor::view).
  const auto* first = &kFlowers[0][0];
  const auto flowers = intaglio::Tensor::of<float>({kCount, 4}, std::span<const float>(first, kCount * 4));
  intaglio::Tensor classes;
  const std::vector<std::size_t> best = classify(model, flowers, classes);

  // A plan loads within milliseconds, and gives the same bits.
  const std::string plan = (std::filesystem::temp_directory_path() / "flowers-example.plan").string();
  model.save(plan);
  intaglio::Tensor again;
  classify(intaglio::load(plan), flowers, again);
  std::filesystem::remove(plan);
  const bool same =
      again.byte_count() == classes.byte_count() && std::memcmp(again.data(), classes.data(), again.byte_count()) == 0;

  // Errors tell what failed, where, and what to do about it. compile and load also have forms that do not throw.
  const auto missing = intaglio::try_compile("no-such-file.onnx");
  if (!missing) std::printf("as expected: %s\n", missing.error().what());
  return same && !missing && best == std::vector<std::size_t>{0, 1, 2} ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc > 1 ? argv[1] : FLOWERS_MODEL);
  } catch (const intaglio::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
}
