#include "plan/file.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "base/alloc.h"
#include "base/file.h"
#include "plan/format.h"

namespace intaglio::plan {

namespace {

constexpr char kMagic[8] = {'I', 'N', 'T', 'A', 'G', 'L', 'I', 'O'};
constexpr std::uint64_t kPage = 4096;

struct FileHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t header_bytes;
  std::uint64_t file_bytes;
  std::uint64_t structure_offset;
  std::uint64_t structure_bytes;
  std::uint64_t structure_hash;
  std::uint64_t weights_offset;
  std::uint64_t weights_bytes;
  std::uint64_t header_hash;  // of all bytes before this field
};
static_assert(sizeof(FileHeader) == 72);

std::uint64_t hash_of(const void* data, std::size_t bytes) {
  return XXH3_64bits(data, bytes);
}
std::uint64_t hash_of(const FileHeader& header) {
  return hash_of(&header, offsetof(FileHeader, header_hash));
}

std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::vector<BlobRecord> blob_records(const Plan& plan) {
  std::vector<BlobRecord> records;
  std::uint64_t offset = 0;
  for (const ops::Blob& blob : plan.blobs) {
    records.push_back({blob.layout, offset, blob.bytes, hash_of(blob.data, blob.bytes)});
    offset = round_up(offset + blob.bytes, kAlignment);
  }
  return records;
}

Result<FileHeader> read_header(const MappedFile& file) {
  const auto recompile = "compile the model again with this build";
  FileHeader header{};
  if (file.bytes().size() < sizeof header) {
    return fail(ErrorCode::file, "the file is too short to be a plan", file.path().string(), recompile);
  }
  std::memcpy(&header, file.bytes().data(), sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) {
    return fail(ErrorCode::file, "this is not a plan file", file.path().string(), "make one with 'intaglio compile'");
  }
  if (header.version != kPlanVersion) {
    return fail(ErrorCode::file,
                "the plan has version " + std::to_string(header.version) + "; this build reads version " +
                    std::to_string(kPlanVersion),
                file.path().string(), recompile);
  }
  if (header.header_bytes != sizeof header || header.header_hash != hash_of(header)) {
    return fail(ErrorCode::file, "the plan's header is corrupted", file.path().string(), recompile);
  }
  if (header.file_bytes != file.bytes().size()) {
    return fail(ErrorCode::file,
                "the plan is truncated or has bytes appended: " + std::to_string(file.bytes().size()) +
                    " bytes, expected " + std::to_string(header.file_bytes),
                file.path().string(), recompile);
  }
  return header;
}

std::unique_ptr<ops::Descriptor> make_for_candidate(const void* context, std::string_view name) {
  const auto& candidates = *static_cast<const std::span<const ops::Candidate* const>*>(context);
  const ops::Candidate* candidate = ops::find_candidate(name, candidates);
  return candidate == nullptr ? nullptr : candidate->make_descriptor();
}

Status map_blobs(Plan& plan, const std::vector<BlobRecord>& records, const std::shared_ptr<const MappedFile>& file,
                 std::span<const std::byte> weights, bool verify) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    const BlobRecord& record = records[i];
    if (record.offset % kAlignment != 0 || record.offset > weights.size() ||
        record.bytes > weights.size() - record.offset) {
      return fail(ErrorCode::file, "weights " + std::to_string(i) + " lie outside the file");
    }
    const std::byte* data = weights.data() + record.offset;
    if (verify && hash_of(data, record.bytes) != record.hash) {
      return fail(ErrorCode::file,
                  "weights " + std::to_string(i) + " ('" + record.layout + "') do not match their checksum", {},
                  "the file is damaged: compile the model again");
    }
    plan.blobs.push_back({record.layout, data, record.bytes, file});
  }
  return {};
}

Result<std::shared_ptr<const Plan>> load_mapped(const std::shared_ptr<const MappedFile>& file,
                                                std::span<const ops::Candidate* const> candidates,
                                                const ops::Target& target, const LoadOptions& options) {
  INTAGLIO_TRY(const FileHeader header, read_header(*file));
  INTAGLIO_TRY(const auto structure,
               file->range(header.structure_offset, header.structure_bytes, "the plan's structure"));
  if (hash_of(structure.data(), structure.size()) != header.structure_hash) {
    return fail(ErrorCode::file, "the plan's structure does not match its checksum", {},
                "the file is damaged: compile the model again");
  }
  INTAGLIO_TRY(const auto weights, file->range(header.weights_offset, header.weights_bytes, "the plan's weights"));
  if (header.weights_offset % kPage != 0) return fail(ErrorCode::file, "the plan's weights are not aligned");
  auto plan = std::make_shared<Plan>();
  std::vector<BlobRecord> records;
  Reader reader(structure);
  io_structure(reader, *plan, records, {make_for_candidate, &candidates});
  INTAGLIO_CHECK(reader.status());
  INTAGLIO_CHECK(map_blobs(*plan, records, file, weights, options.verify_weights));
  INTAGLIO_CHECK(validate(*plan));
  if (options.huge_pages.wanted) {
    // Bytes of the file that were copied are no longer counted as ours.
    const auto copied = [&](std::span<const std::byte> part) { file->release_pages(part); };
    // Honest blobs do not overlap; a small file that names the same bytes again and again must not fill the memory.
    const std::size_t in_file = weights.size() + kAlignment * plan->blobs.size();
    INTAGLIO_CHECK(use_huge_pages(*plan, candidates, target, std::min(options.huge_pages.most_bytes, in_file), copied));
  } else {
    INTAGLIO_CHECK(prepare_steps(*plan, candidates, target));
  }
  assign_bind_groups(*plan);
  return std::shared_ptr<const Plan>(std::move(plan));
}

}  // namespace

Status save(const Plan& plan, const std::filesystem::path& path) {
  std::vector<BlobRecord> records = blob_records(plan);
  Plan structure =
      plan;  // io_structure takes its object by reference for both directions; blobs are shared, not copied
  Writer writer;
  io_structure(writer, structure, records, {});
  FileHeader header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kPlanVersion;
  header.header_bytes = sizeof header;
  header.structure_offset = sizeof header;
  header.structure_bytes = writer.bytes().size();
  header.structure_hash = hash_of(writer.bytes().data(), writer.bytes().size());
  header.weights_offset = round_up(header.structure_offset + header.structure_bytes, kPage);
  header.weights_bytes = records.empty() ? 0 : records.back().offset + records.back().bytes;
  header.file_bytes = header.weights_offset + header.weights_bytes;
  header.header_hash = hash_of(header);

  INTAGLIO_TRY(AtomicFile file, AtomicFile::create(path));
  INTAGLIO_CHECK(file.write(std::as_bytes(std::span(&header, 1))));
  INTAGLIO_CHECK(file.write(writer.bytes()));
  INTAGLIO_CHECK(file.pad_to(kPage));
  for (const ops::Blob& blob : plan.blobs) {
    INTAGLIO_CHECK(file.pad_to(kAlignment));
    INTAGLIO_CHECK(file.write(std::span(blob.data, blob.bytes)));
  }
  return file.commit();
}

Result<std::shared_ptr<const Plan>> load(const std::filesystem::path& path,
                                         std::span<const ops::Candidate* const> candidates, const ops::Target& target,
                                         const LoadOptions& options) {
  INTAGLIO_TRY(const auto file, MappedFile::open(path));
  auto plan = load_mapped(file, candidates, target, options);
  if (!plan) {
    Error error = std::move(plan).error();
    return fail(error.origin == path.string() ? std::move(error) : std::move(error).within(path.string()));
  }
  return plan;
}

bool looks_like_plan(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);  // refuses pipes, which a stream would wait for
  if (!file || (*file)->bytes().size() < sizeof kMagic) return false;
  return std::memcmp((*file)->bytes().data(), kMagic, sizeof kMagic) == 0;
}

}  // namespace intaglio::plan
