-- An auction: the highest bid stands; of equal bids the one that was made first.
--
-- A value is either a number as text ("250", "250.50") or a JSON object with the number in its
-- field `amount` ({"amount": 250, "bidder": "anna"}). Amounts are compared as numbers: 99 is less
-- than 100, which compared as text it would not be. The bid itself is returned as it was written.
--
-- Versions come in the order of their stamps, which all regions agree on; so "first" is the
-- smallest stamp, also for two bids of one millisecond. Whole amounts are compared exactly up to
-- 64 bits, others as doubles (15 digits): keep cents as whole numbers where that is not enough.

local function amount_of(text)
    local bid = json.decode(text)
    local amount = type(bid) == "table" and bid.amount or bid
    assert(type(amount) == "number", "a bid without an amount")
    return amount
end

return function(versions)
    local highest, highest_amount
    for _, version in ipairs(versions) do
        local amount = amount_of(version.value)
        if highest == nil or amount > highest_amount then
            highest, highest_amount = version.value, amount
        end
    end
    return highest
end
