-- Shopping carts: the union of the items, and of each item the largest quantity.
--
-- A value is a JSON object {item: quantity}, the quantities whole numbers of at least 1.
--
-- Why the largest and not the sum: concurrent carts grew out of one cart that all of them had
-- seen. What it held is in every version, and a sum would count it once for each. The largest
-- never invents a quantity that no version has. What it cannot do: two regions that each add one
-- of an item end with one more, not two (for that use a hash and HINCRBY, whose increments all
-- count); and an item that one version has removed is back when another still has it.
-- For a shop that is the harmless side: the customer sees it before paying.

return function(versions)
    local union = {}
    for _, version in ipairs(versions) do
        for item, quantity in pairs(json.decode(version.value)) do
            assert(type(item) == "string" and math.type(quantity) == "integer" and quantity >= 1,
                   "a cart names items and how many of each, at least 1")
            union[item] = math.max(union[item] or 0, quantity)
        end
    end
    return json.encode(union)
end
