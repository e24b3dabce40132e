// What the reports of the commands have in common.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "intaglio/intaglio.h"

namespace intaglio::cli {

// Keys keep the order in which they are set.
using Json = nlohmann::ordered_json;

// Writes to stdout at once. Throws Error (file) if that fails (a full disk behind a redirection).
void print(const std::string& text);
// One JSON object. Bytes that are not UTF-8, as names in a file may be, are replaced.
void print_json(const Json& json);
std::string one_line(const Json& json);
// A line on stderr.
void note(const std::string& text);
// error: origin: message, then hint: ..., on stderr.
void print_error(const Error& error) noexcept;

// {name, dtype, shape}: dims are numbers where they are fixed.
Json ports_json(const std::vector<PortInfo>& ports);
Json ports_json(const std::vector<InspectedPort>& ports);
// The arithmetic of a model in one word: "f32", "bf16", "int8" (quantised linears, the rest f32), "int8+bf16".
std::string arithmetic_of(const ModelFacts& facts);
// [{node, rule}]: linears that a rule left in floating point.
Json kept_float_json(const std::vector<KeptFloat>& kept);
// "huge_pages": what became of --huge-pages; null without it.
Json huge_pages_json(const ModelFacts& facts, bool wanted);
Json tensor_json(const std::string& name, const Tensor& tensor);

// Columns two spaces apart, as wide as they must be; those whose heading begins with '>' are right-aligned.
std::string table_text(const std::vector<std::string>& headings, const std::vector<std::vector<std::string>>& rows);
// "12.3 MB", of 10^6 bytes.
std::string megabytes(std::size_t bytes);
// "1.23 ms", "45.1 us", "12.0 s".
std::string milliseconds(double ms);

// VmHWM or VmRSS of this process in bytes; 0 if the kernel does not tell.
std::size_t process_bytes(const char* field);

}  // namespace intaglio::cli
