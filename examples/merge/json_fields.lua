-- JSON documents, field by field: each field as the newest version that has it wrote it.
--
-- A value is a JSON object. The rule, exactly: the result has every field that at least one version
-- has; a field's value is taken whole from the version with the largest stamp among those that
-- have it. Only the outermost fields are merged, so an object or array inside is never a mixture of
-- two. A field written as null is there, with the value null.
--
-- What follows from it, as there is no common ancestor to compare with:
--   - A version is trusted for every field it has, also for those that its writer only copied. So
--     this suits writers who leave out what they do not mean to set. Where whole documents are
--     rewritten, the newest version wins nearly everything, as with lww.
--   - A field left out by one version and kept by another stays. To delete it, write null.
-- Fields that change independently are better kept in a hash: HSET of different fields is never a
-- conflict, and each field has its own stamp.

return function(versions)
    local merged = {}
    for _, version in ipairs(versions) do -- the oldest first, so that newer ones overwrite
        local document = json.decode(version.value)
        assert(type(document) == "table", "a value that is not a JSON object")
        for field, value in pairs(document) do
            assert(type(field) == "string", "a value that is not a JSON object")
            merged[field] = value
        end
    end
    return json.encode(merged)
end
